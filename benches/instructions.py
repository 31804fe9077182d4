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


class Store:
    """The store under callgrind, and one connection to it."""

    def __init__(self, program, folder, name, **environment):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        self.counts = f"{folder}/{name}.counts"
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={self.counts}"]
        self.process = subprocess.Popen(
            [*command, program, "start"],
            env=os.environ
            | {
                "LOCO_ENV": "development",
                "PORT": str(port),
                "DATABASE_URL": f"sqlite://{folder}/{name}.sqlite?mode=rwc",
                "JWT_SECRET": SECRET,
                "ADMIN_USERNAME": "pat",
                "ADMIN_PASSWORD": PASSWORD,
                # Counted, but never used up.
                "RATE_LIMIT_REQUESTS": "4000000000",
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
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.headers = {"Content-Type": "application/json"}
        for _ in range(600):
            with contextlib.suppress(ConnectionRefusedError):
                self.connection.connect()
                break
            time.sleep(0.1)
        else:
            sys.exit("the store does not start")
        token = self.ask("POST", f"{API}/auth/login", {"username": "pat", "password": PASSWORD})["token"]
        self.headers["Authorization"] = f"Bearer {token}"
        self.products = []
        for number in range(PRODUCTS):
            product = {"name": f"Lamp {number}", "sku": f"LAMP-{number}", "price": "12.50", "stock": 1_000_000}
            self.products.append(self.ask("POST", f"{API}/products", product)["id"])

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
        self.requests = 20 + 5 + times
        for _ in range(20):
            request(self, next(numbers))
        self.control("--instr=on")
        # Before it counts, valgrind translates the code once more.
        for _ in range(5):
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
# in the release, and in the build of the tests.
CASES = [
    ("ping", "cached", get("/_ping"), 37_000, 340_000),
    ("product, found", "cached", get(f"{API}/products/7"), 66_000, 565_000),
    ("product, not modified", "cached", get_unchanged(f"{API}/products/7"), 66_000, 570_000),
    ("20 products, found", "cached", get(f"{API}/products?page_size=20"), 69_000, 1_200_000),
    ("product, cache off", "uncached", get_another, 143_000, 1_004_000),
    ("20 products, cache off", "uncached", get_another_page, 621_000, 4_850_000),
    ("25 orders, cache off", "uncached", get_orders, 1_540_000, 16_500_000),
    ("price of a product", "cached", patch, 352_000, 2_120_000),
    ("order of two lines", "cached", order, 604_000, 3_600_000),
    ("the same, with a key", "cached", order_once, 757_000, 4_200_000),
    ("product, publishable key", "cached", with_key(get(f"{API}/products/7")), 84_000, 625_000),
    ("order, secret key", "cached", with_key(order, "orders:write"), 640_000, 3_650_000),
    ("cart, shown", "cached", with_key(get_cart), 800_000, 3_000_000),
    ("cart of two lines, opened", "cached", with_key(open_cart), 1_200_000, 4_600_000),
    ("cart, a quantity", "cached", with_key(fill_cart), 1_100_000, 4_200_000),
    ("cart, its hold", "cached", with_key(hold_cart), 1_300_000, 5_000_000),
    ("cart, completed", "cached", with_key(complete_cart), 1_700_000, 6_600_000),
    ("order, three endpoints", "heard", order, 672_000, 3_650_000),
]


def main():
    names = sys.argv[1:]
    short = names[:1] == ["short"]
    names = names[1:] if short else names
    cases = [case for case in CASES if not names or any(name in case[0] for name in names)]
    profile, times = ("dev", 20) if short else ("release", 200)
    program = f"target/{'debug' if short else 'release'}/boxcar-cli"
    subprocess.run(["cargo", "build", "--locked", "--profile", profile, "--bin", "boxcar-cli"], check=True)
    PROFILES.mkdir(exist_ok=True)
    exceeded = False
    print(f"{'instructions a request':28} {'counted':>12} {'kept':>12}")
    # Not where temporary files are, which may be in memory.
    with tempfile.TemporaryDirectory(dir="target") as folder:
        for which, (environment, prepare) in STORES.items():
            mine = [case for case in cases if case[1] == which]
            if not mine:
                continue
            store = Store(program, folder, which, **environment)
            try:
                if prepare:
                    prepare(store)
                for name, _, request, in_release, in_tests in mine:
                    kept = in_tests if short else in_release
                    counted = store.count(name, request, times)
                    over = counted > kept * TOLERANCE
                    exceeded |= over
                    print(f"{name:28} {counted:12,.0f} {kept:12,}{'  too many' if over else ''}", flush=True)
            finally:
                store.stop()
    sys.exit(exceeded)


main()
