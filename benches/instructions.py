"""What a request costs, counted in processor instructions, and held against the numbers below.

    python3 benches/instructions.py [short] [NAME...]

Needs valgrind. Builds the store, starts it under `valgrind --tool=callgrind` as in development, with a SQLite store of
its own, and sends each request 200 times over one connection. Prints the instructions a request, in user space, of all
threads. Ends with status 1 when a figure is more than 3 % above the number that is kept here: a number is raised by a
diff that somebody reads. With NAMEs, only the cases whose names contain one of them.

The short form is for every change: it sends each request 20 times to the build that the tests use, which is there
already. That is not optimised and takes some five times as many instructions, so it has numbers of its own: the highest
of several runs.

What takes them: `callgrind_annotate target/instructions/CASE`, of a build with CARGO_PROFILE_RELEASE_STRIP=false and
CARGO_PROFILE_RELEASE_DEBUG=line-tables-only.

Time depends on what else the machine does, and instructions hardly do: two runs differ by less than 2 %.
"""

import base64
import concurrent.futures
import contextlib
import glob
import http.client
import itertools
import json
import os
import pathlib
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time

API = "/api/v1"
PASSWORD = "salt kettle 9 anvil fjord"
SECRET = base64.b64encode(secrets.token_bytes(64)).decode()
TOLERANCE = 1.03
# Products that are not the demo's, so that a request need not repeat one of a moment ago.
PRODUCTS = 80
PROFILES = pathlib.Path("target/instructions")
# How often each request is sent: before it is counted, and then.
WARM_UP, SECOND_WARM_UP, TIMES, TIMES_IN_SHORT = 20, 5, 200, 20


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A server under callgrind, and one connection to it."""

    def __init__(self, folder, name):
        self.counts = f"{folder}/{name}.counts"
        self.database = f"sqlite://{folder}/{name}.sqlite?mode=rwc"
        self.headers = {"Content-Type": "application/json"}

    def start(self, command, port, **environment):
        valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={self.counts}"]
        self.process = subprocess.Popen(
            [*valgrind, *command],
            env=os.environ | {"JWT_SECRET": SECRET} | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for _ in range(600):
            with contextlib.suppress(ConnectionRefusedError):
                self.connection.connect()
                return
            time.sleep(0.1)
        sys.exit(f"{command[0]} does not start")

    def ask(self, method, path, body=None, headers=None, status=None):
        """The answer to one request, which has to succeed."""
        body = None if body is None else json.dumps(body)
        self.connection.request(method, path, body, self.headers | (headers or {}))
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status >= 400 or (status and answer.status != status):
            sys.exit(f"{method} {path}: {answer.status} {content.decode()}")
        self.tag = answer.headers.get("ETag")
        return json.loads(content) if content else None

    def count(self, name, request, times):
        """Instructions a request: those of `times` requests, after some that warm up."""
        numbers = itertools.count()
        self.requests = WARM_UP + SECOND_WARM_UP + times
        for _ in range(WARM_UP):
            request(self, next(numbers))
        self.control("--instr=on")
        # Before it counts, valgrind translates the code once more.
        for _ in range(SECOND_WARM_UP):
            request(self, next(numbers))
        self.control("--zero")
        for _ in range(times):
            request(self, next(numbers))
        self.control("--dump")
        self.control("--instr=off")
        dump = max(glob.glob(f"{self.counts}.*"), key=lambda path: int(path.rsplit(".", 1)[1]))
        profile = PROFILES / re.sub(r"\W+", "-", name)
        shutil.move(dump, profile)
        return int(re.search(r"^(?:totals|summary): (\d+)", profile.read_text(), re.MULTILINE)[1]) / times

    def control(self, command):
        subprocess.run(
            ["callgrind_control", command, str(self.process.pid)], check=True, capture_output=True
        )

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Store(Server):
    """The store, with some products."""

    def __init__(self, program, folder, name, **environment):
        super().__init__(folder, name)
        port = free_port()
        self.start(
            [program, "start"],
            port,
            **{
                "LOCO_ENV": "development",
                "PORT": str(port),
                "DATABASE_URL": self.database,
                "ADMIN_USERNAME": "pat",
                "ADMIN_PASSWORD": PASSWORD,
                # Counted, but never used up.
                "RATE_LIMIT_REQUESTS": "4000000000",
                # If a request came before the connection of the last one is back, the pool would open another one,
                # which reads what tables there are: 2,600,000 instructions in the build of the tests.
                "DB_MAX_CONNECTIONS": "1",
                # Off, as in production without a server for mails.
                "MAILS_DIR": "",
                # What is looked for each second, or now and then, is no request's.
                "RELAY": "false",
                "CHECKOUT_SWEEP_SECONDS": "0",
                # Off, or more than is asked for.
                "CHECKOUT_HOLDS_PER_HOUR": "0",
                "CHECKOUT_HOLD_PIECES": "1000000",
            }
            | environment,
        )
        token = self.ask("POST", f"{API}/auth/login", {"username": "pat", "password": PASSWORD})["token"]
        self.headers["Authorization"] = f"Bearer {token}"
        self.products = []
        for number in range(PRODUCTS):
            product = {"name": f"Lamp {number}", "sku": f"LAMP-{number}", "price": "12.50", "stock": 1_000_000}
            self.products.append(self.ask("POST", f"{API}/products", product)["id"])


class Floor(Server):
    """The floor, with carts that a store has made."""

    def __init__(self, program, folder, name):
        super().__init__(folder, name)
        store = Store(program, folder, name)
        try:
            # Who buys is a customer already.
            path, total = cart(store, 0)
            store.ask("POST", f"{path}/complete", {"expected_total": total}, status=201)
            carts = [cart(store, number) for number in range(WARM_UP + SECOND_WARM_UP + TIMES)]
            self.carts = ["/carts/" + path.rsplit("/", 1)[1] for path, _ in carts]
            self.headers, self.products = store.headers, store.products
        finally:
            store.stop()
        port = free_port()
        self.start([str(pathlib.Path(program).with_name("examples") / "floor"), str(port), self.database], port)


def get(path, status=200):
    return lambda store, _: store.ask("GET", path, status=status)


def get_unchanged(path):
    def request(store, number):
        if number == 0:
            store.ask("GET", path)
            store.known = store.tag
        store.ask("GET", path, headers={"If-None-Match": store.known}, status=304)

    return request


def get_another(store, number):
    store.ask("GET", f"{API}/products/{store.products[number % PRODUCTS]}")


def get_another_page(store, number):
    store.ask("GET", f"{API}/products?page_size=20&page={1 + number % (PRODUCTS // 20)}")


def get_orders(store, number):
    if number == 0:
        for at in range(30):
            order(store, at)
    store.ask("GET", f"{API}/orders?page_size=25")


def patch(store, number):
    store.ask("PATCH", f"{API}/products/9", {"price": f"{10 + number}.00"})


def order(store, number, headers=None):
    lines = [
        {"product_id": store.products[number % PRODUCTS], "quantity": 1},
        {"product_id": store.products[(number + 7) % PRODUCTS], "quantity": 2},
    ]
    store.ask("POST", f"{API}/orders", {"customer_id": 1, "items": lines}, headers, 201)


def order_once(store, number):
    order(store, number, {"Idempotency-Key": secrets.token_hex(16)})


def cart(store, number):
    """A checkout of two lines with an address and an option, which can be completed."""
    lines = [
        {"product_id": store.products[number % PRODUCTS], "quantity": 1},
        {"product_id": store.products[(number + 7) % PRODUCTS], "quantity": 2},
    ]
    address = {"name": "Robin Hale", "line1": "12 Harbour Street", "city": "Hamburg", "country": "DE"}
    body = {"items": lines, "email": "robin@example.com", "shipping_address": address, "shipping_option_id": 1}
    checkout = store.ask("POST", f"{API}/checkouts", body, status=201)
    return f"{API}/checkouts/{checkout['id']}", checkout["totals"]["total"]


def get_cart(store, number):
    if number == 0:
        store.cart, _ = cart(store, number)
    store.ask("GET", store.cart)


def open_cart(store, number):
    cart(store, number)


def fill_cart(store, number):
    if number == 0:
        store.cart, _ = cart(store, number)
    store.ask("PUT", f"{store.cart}/items/{store.products[0]}", {"quantity": 1 + number})


def hold_cart(store, number):
    if number == 0:
        store.carts = [cart(store, at) for at in range(store.requests)]
    path, _ = store.carts[number]
    store.ask("POST", f"{path}/hold", status=200)


def complete_cart(store, number):
    if number == 0:
        store.carts = [cart(store, at) for at in range(store.requests)]
    path, total = store.carts[number]
    store.ask("POST", f"{path}/complete", {"expected_total": total}, status=201)


def floor_cart(floor, number):
    floor.ask("GET", floor.carts[-1])


def fill_floor_cart(floor, number):
    floor.ask("PUT", f"{floor.carts[-1]}/items/{floor.products[0]}", {"quantity": 1 + number})


def complete_floor_cart(floor, number):
    floor.ask("POST", f"{floor.carts[number]}/complete", {})


def with_key(request, *scopes):
    """The same by a program, whose key is made before anything is counted: a secret one if there are scopes."""

    def asked(store, number):
        if number == 0:
            kind = {"kind": "secret", "scopes": scopes} if scopes else {"kind": "publishable"}
            store.key = store.ask("POST", f"{API}/api-keys", {"name": "Program"} | kind)["key"]
        person, store.headers = store.headers, store.headers | {"Authorization": f"Bearer {store.key}"}
        request(store, number)
        store.headers = person

    return asked


def listen(store):
    """Three endpoints that want to hear of orders. Their deliveries wait: no relay runs."""
    for number in range(3):
        store.ask(
            "POST",
            f"{API}/webhook-endpoints",
            {"url": f"http://127.0.0.1:9/{number}", "types": ["order.*"], "description": f"Number {number}"},
        )


# What a store is started with, by its name, and what is done before anything is counted.
STORES = {
    "cached": ({}, None),
    "uncached": ({"CACHE_MAX_BYTES": "0"}, None),
    "heard": ({}, listen),
}

# Name, which store is asked, the request, and how many instructions it took when the numbers were written:
# in the release, and in the build of the tests. The floor is only counted in the release.
CASES = [
    ("ping", "cached", get("/_ping"), 37_000, 340_000),
    ("product, found", "cached", get(f"{API}/products/7"), 68_700, 565_000),
    ("product, not modified", "cached", get_unchanged(f"{API}/products/7"), 68_700, 570_000),
    ("20 products, found", "cached", get(f"{API}/products?page_size=20"), 71_700, 1_200_000),
    ("product, cache off", "uncached", get_another, 150_000, 1_072_000),
    ("20 products, cache off", "uncached", get_another_page, 666_000, 4_850_000),
    ("25 orders, cache off", "uncached", get_orders, 2_195_000, 16_500_000),
    ("price of a product", "cached", patch, 360_000, 2_120_000),
    ("order of two lines", "cached", order, 677_000, 3_600_000),
    ("the same, with a key", "cached", order_once, 838_000, 4_200_000),
    ("product, publishable key", "cached", with_key(get(f"{API}/products/7")), 84_600, 625_000),
    ("order, secret key", "cached", with_key(order, "orders:write"), 720_000, 3_650_000),
    ("cart, shown", "cached", with_key(get_cart), 455_000, 2_800_000),
    ("cart of two lines, opened", "cached", with_key(open_cart), 556_000, 4_180_000),
    ("cart, a quantity", "cached", with_key(fill_cart), 565_000, 3_430_000),
    ("cart, its hold", "cached", with_key(hold_cart), 825_000, 4_030_000),
    ("cart, completed", "cached", with_key(complete_cart), 1_360_000, 6_420_000),
    ("floor: cart, shown", "floor", floor_cart, 283_000, None),
    ("floor: cart, a quantity", "floor", fill_floor_cart, 421_000, None),
    ("floor: cart, completed", "floor", complete_floor_cart, 716_000, None),
    ("order, three endpoints", "heard", order, 741_000, 3_650_000),
]


def opened(program, folder, which):
    if which == "floor":
        return Floor(program, folder, which)
    environment, prepare = STORES[which]
    store = Store(program, folder, which, **environment)
    if prepare:
        prepare(store)
    return store


def main():
    names = sys.argv[1:]
    short = names[:1] == ["short"]
    names = names[1:] if short else names
    kept = {name: in_tests if short else in_release for name, _, _, in_release, in_tests in CASES}
    cases = [
        (name, which, request)
        for name, which, request, *_ in CASES
        if kept[name] and (not names or any(part in name for part in names))
    ]
    times = TIMES_IN_SHORT if short else TIMES
    program = f"target/{'debug' if short else 'release'}/boxcar-cli"
    # Of the tests' build: without the tests, libraries have other features, and all would be built once more.
    tests = ["test", "--no-run", "--locked", "--test", "mod"]
    release = ["build", "--locked", "--release", "--bin", "boxcar-cli", "--example", "floor"]
    subprocess.run(["cargo", *(tests if short else release)], check=True)
    PROFILES.mkdir(exist_ok=True)
    print(f"{'instructions a request':28} {'counted':>12} {'kept':>12}")

    def count(which):
        """Asks one of the servers, and says whether all its requests took as many as they may."""
        server = opened(program, folder, which)
        kept_to = True
        try:
            for name, at, request in cases:
                if at == which:
                    counted = server.count(name, request, times)
                    over = counted > kept[name] * TOLERANCE
                    kept_to &= not over
                    print(f"{name:28} {counted:12,.0f} {kept[name]:12,}{'  too many' if over else ''}", flush=True)
        finally:
            server.stop()
        return kept_to

    # Not where temporary files are, which may be in memory. All at once: instructions are not time.
    with tempfile.TemporaryDirectory(dir="target") as folder, concurrent.futures.ThreadPoolExecutor() as pool:
        kept_to = all(list(pool.map(count, sorted({which for _, which, _ in cases}))))
    sys.exit(not kept_to)


main()
