"""What the store bears: requests a second and processor time, against a floor where there is one.

    python3 benches/load.py DATABASE [ROWS] [CASE...]

DATABASE is `sqlite`, or the address of an empty MySQL or MariaDB database. Needs wrk, and the client `mariadb` for
such a database. Builds the store and the floor (`benches/floor`), and fills products, customers and orders with so
many ROWS (1000). The store is in the default configuration of production, with
only the number of requests a day out of reach, and nobody asks for the same thing twice in a row. With CASEs, only
those whose names contain one of them.

Each server is measured in turn, for three seconds, three times. Prints the medians, and the medians of the ratios to
the floor, round by round. Ends with the store's memory.
"""

import statistics
import sys
import time

import rows
import servers

ROWS = "1000"
CONNECTIONS = 32
API = "/api/v1"

LUA = """
wrk.headers["Content-Type"] = "application/json"
math.randomseed(os.time())
local rows, number = @ROWS@, 0
local function get(path) return wrk.format("GET", path) end
local function send(method, path, body) return wrk.format(method, path, nil, body) end
local function order(path)
  local half = math.floor(rows / 2)
  local body = '{"customer_id":%d,"items":[{"product_id":%d,"quantity":1},{"product_id":%d,"quantity":2}]}'
  return send("POST", path, body:format(math.random(1, rows), math.random(2, half), math.random(half + 1, rows)))
end
local function list(path)
  return get(path .. (path:find("?", 1, true) and "&" or "?") .. "page_size=" .. math.random(20, 30))
end
request = function()
  number = number + 1
  @REQUEST@
end
"""

# What is asked of a server by its path: `wrk.path` is where it stands, and `rows` how many there are.
ONE = "return get(wrk.path .. math.random(1, rows))"
ORDER = "return order(wrk.path)"
LOGIN = """return send("POST", wrk.path, '{"username":"pat","password":"@PASSWORD@"}')"""
# While every tenth request is an order, which no list of orders may leave out.
LIST = f'if number % 10 == 0 then return order("{API}/orders") end return list(wrk.path)'
DAY = f"""
  local dice = math.random(1, 100)
  if dice == 1 then
    return send("PATCH", "{API}/products/" .. math.random(1, rows), '{{"price":"' .. math.random(1, 999) .. '.50"}}')
  end
  if dice <= 10 then return order("{API}/orders") end
  if dice <= 70 then return get("{API}/products/" .. math.random(1, rows)) end
  if dice <= 85 then return list("{API}/products?sort=price&min_price=" .. math.random(1, 90)) end
  if dice <= 95 then return get("{API}/orders/" .. math.random(1, rows)) end
  return list("{API}/orders?customer_id=" .. math.random(1, rows))
"""

LISTS = [
    "/products",
    "/customers",
    "/customer-accounts",
    "/orders",
    f"/orders?customer_id={rows.CUSTOMER}",
    f"/products/{rows.PRODUCT}/stock",
]


def cases():
    """Name, path at the store (`kept`, or `bare` where its cache is off), path at the floor, Lua, connections."""
    for connections in (1, 8, 32, 128, 256):
        yield "product", "kept", f"{API}/products/", "/hit/", ONE, connections
    for connections in (1, 32, 256):
        yield "product, cache off", "bare", f"{API}/products/", "/miss/", ONE, connections
    for connections in (1, 8, 32, 128, 256):
        yield "order of two lines", "kept", f"{API}/orders", "/orders", ORDER, connections
    for path in LISTS:
        yield f"first page of {path}, every tenth an order", "kept", API + path, None, LIST, CONNECTIONS
    yield "search", "kept", f"{API}/products?page_size=20&q=", None, ONE, 1
    yield "log in", "kept", f"{API}/auth/login", None, LOGIN.replace("@PASSWORD@", servers.PASSWORD), CONNECTIONS
    yield "mixed day", "kept", "/", None, DAY, CONNECTIONS


def main():
    arguments = sys.argv[1:]
    database = arguments.pop(0)
    size = int(arguments.pop(0) if arguments and arguments[0].isdigit() else ROWS)
    with servers.workplace(database) as (_, database):
        # Makes the tables, and the account.
        servers.store("store", database, SEED_DEMO="false").stop()
        rows.add(database, size)
        measure(database, size, arguments)


def after_an_order(store, token, path):
    """The median time, in ms, of a list's first page that nobody has asked for since the last order."""
    order = {"customer_id": rows.CUSTOMER, "items": [{"product_id": rows.PRODUCT, "quantity": 1}]}
    times = []
    for _ in range(100):
        store.ask("POST", f"{API}/orders", order, token)
        begun = time.perf_counter()
        store.ask("GET", API + path, token=token)
        times.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(times)


def measure(database, size, names):
    stores = {
        "kept": servers.store("store", database),
        "bare": servers.store("store", database, CACHE_MAX_BYTES="0"),
    }
    floor = servers.floor("floor", database)
    token = stores["kept"].log_in()
    at_rest = stores["kept"].memory()
    print(f"{size:,} rows", flush=True)
    for name, store, path, floor_path, request, connections in cases():
        if names and not any(part in name for part in names):
            continue
        targets = [(stores[store], path)] + ([(floor, floor_path)] if floor_path else [])
        script = LUA.replace("@ROWS@", str(size)).replace("@REQUEST@", request)
        servers.compare(targets, token, script, connections)
        print(f"{name + ', ' + str(connections) + ' connections':58}", servers.summary(targets), flush=True)
    for path in LISTS if not names or "after an order" in names else []:
        print(f"{'first page of ' + path + ' after an order':58} {after_an_order(stores['kept'], token, path):.2f} ms", flush=True)
    print(f"memory: {at_rest:,} kB at rest, {stores['kept'].memory():,} kB after these", flush=True)
    for server in [*stores.values(), floor]:
        server.stop()


if __name__ == "__main__":
    main()
