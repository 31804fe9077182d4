"""What placing an order of two lines costs, against the same statements without the store.

    python3 benches/orders.py DATABASE [ROUNDS]

DATABASE is `sqlite`, or the address of an empty MySQL or MariaDB database. Needs wrk. Builds the store and the
floor (`benches/floor`), starts them on free ports of this machine with one database, and lets wrk order from
each in turn, ROUNDS times (5): products and customers at random, with stock that does not run out. Prints the
medians of orders a second and of the server's processor time an order, and the medians of the ratios to the
floor, round by round.
"""

import sys

import servers

CUSTOMERS = 200
PRODUCTS = 240

ORDERS = """
local body = '{"customer_id":%d,"items":[{"product_id":%d,"quantity":1},{"product_id":%d,"quantity":2}]}'
wrk.headers["Content-Type"] = "application/json"
math.randomseed(os.time())
request = function()
  local half = @PRODUCTS@ / 2
  local one, other = math.random(1, half), math.random(half + 1, 2 * half)
  return wrk.format("POST", nil, nil, body:format(math.random(1, @CUSTOMERS@), one, other))
end
"""


def main():
    database, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with servers.workplace(database) as (_, database):
        store, floor = servers.store("store", database), servers.floor("floor", database)
        token = store.log_in()
        fill(store, token)
        script = ORDERS.replace("@PRODUCTS@", str(PRODUCTS)).replace("@CUSTOMERS@", str(CUSTOMERS))
        servers.compare([(store, "/api/v1/orders"), (floor, "/orders")], token, rounds, script)
        servers.report([(store, floor)])


def fill(store, token):
    for number in range(CUSTOMERS):
        store.ask("POST", "/api/v1/customers", {"name": f"N{number}", "email": f"n{number}@example.com"}, token)
    for product in range(1, PRODUCTS + 1):
        if store.ask("GET", f"/api/v1/products/{product}", token=token)["stock"] is not None:
            restock = {"delta": 100_000_000, "reason": "for the benchmark"}
            store.ask("POST", f"/api/v1/products/{product}/stock", restock, token)


main()
