"""What the first page of 100,000 products costs, with their number and without.

    python3 benches/lists.py DATABASE [ROUNDS]

DATABASE is `sqlite`, or the address of an empty database. Needs wrk. Builds the store, imports the products, and
has wrk ask by number (`page=1`, which tells how many there are) and by cursor in turn, ROUNDS times (5), for 20 to
100 products at random, with a cache that has no room for a page. Prints the medians, as benches/get.py does.
"""

import os
import subprocess
import sys

import servers

PRODUCTS = 100_000

PAGES = """
math.randomseed(os.time())
request = function() return wrk.format(nil, wrk.path .. "&page_size=" .. math.random(20, 100)) end
"""


def main():
    database, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with servers.workplace(database) as (folder, database):
        numbered, walked = (
            servers.store(name, database, CACHE_MAX_BYTES="4096") for name in ("by number", "by cursor")
        )
        fill(database, f"{folder}/products.csv")
        targets = [(numbered, "/api/v1/products?page=1"), (walked, "/api/v1/products?cursor=")]
        servers.compare(targets, numbered.log_in(), rounds, PAGES)
        servers.report([(numbered, walked)])


def fill(database, path):
    with open(path, "w") as products:
        products.write("sku,name,price,stock\n")
        products.writelines(f"S{number},Product {number},{number % 900}.50,100\n" for number in range(PRODUCTS))
    settings = {"LOCO_ENV": "production", "DATABASE_URL": database, "JWT_SECRET": servers.SECRET}
    command = ["target/release/boxcar-cli", "task", "products:import", f"file:{path}"]
    subprocess.run(command, env=os.environ | settings, check=True, stdout=subprocess.DEVNULL)


main()
