"""What webhooks cost, and how fast they are sent.

    python3 benches/webhooks.py DATABASE [SECONDS]

DATABASE as in load.py. Needs wrk, nginx, and the client `mariadb` for such a database. Builds the store, in the default
configuration of production but for the number of requests a day.

First orders a second, by turns: without endpoints, and with three that want to hear of orders, of which one is dead.
nginx takes what is sent, and nobody listens where the dead one is. Prints the median of the ratios.

Then 100,000 deliveries to the dead endpoint, that wait: orders a second in the first and in the last quarter of the time
in which they are written, the time of a product before and after, and how many deliveries a second arrive when
somebody listens there again.
"""

import contextlib
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import load
import rows
import servers

API = load.API
# Even, because the store that grows is a little slower in each: either comes first as often as last. The last has
# endpoints, to which something is still to be sent then.
ROUNDS = 6
SIZE = 1000
WAITING = 100_000

NGINX = """
daemon off; error_log /dev/null; pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }}
}}
"""


@contextlib.contextmanager
def receiver(port):
    """Takes everything that is sent to a port."""
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder, "nginx.conf")
        config.write_text(NGINX.format(folder=folder, port=port))
        nginx = subprocess.Popen(["nginx", "-p", folder, "-c", config], stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            yield
        finally:
            nginx.terminate()
            nginx.wait()


class Shop:
    """The store, and wrk that orders there."""

    def __init__(self, database, size):
        self.store = servers.store("store", database, METRICS="true", WEBHOOK_ALLOW_PRIVATE="true")
        self.token = self.store.log_in()
        self.script = load.LUA.replace("@ROWS@", str(size)).replace("@REQUEST@", load.ORDER)

    def add(self, port):
        """An endpoint at that port, which wants to hear of orders: its path."""
        body = {"url": f"http://127.0.0.1:{port}/", "types": ["order.*"]}
        added = self.store.ask("POST", f"{API}/webhook-endpoints", body, self.token)
        return f"{API}/webhook-endpoints/{added['id']}"

    def enable(self, endpoints, enabled):
        """Turns endpoints on or off. What waits for those that are turned off is cancelled."""
        for path in endpoints:
            self.store.ask("PATCH", path, {"enabled": enabled}, self.token)

    def orders(self, seconds, connections=load.CONNECTIONS):
        """Orders a second, and microseconds of processor time for each."""
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
            lua.write(self.script)
            lua.flush()
            return self.store.measure(f"{API}/orders", self.token, seconds, lua.name, connections)

    def waiting(self):
        """How many deliveries wait."""
        metrics = urllib.request.urlopen(self.store.url + "/metrics").read().decode()
        return int(re.search(r'boxcar_deliveries\{kind="webhook",status="pending"\} (\d+)', metrics)[1])

    def product(self, number):
        """The time, in ms, of a product that nobody has asked for."""
        begun = time.perf_counter()
        self.store.ask("GET", f"{API}/products/{number}", token=self.token)
        return (time.perf_counter() - begun) * 1e3


def main():
    arguments = sys.argv[1:]
    with servers.workplace(arguments.pop(0)) as (_, database):
        seconds = int(arguments.pop(0)) if arguments else 5
        servers.store("store", database, SEED_DEMO="false").stop()
        rows.add(database, SIZE)
        shop = Shop(database, SIZE)
        dead = servers.free_port()
        cost(shop, dead, seconds)
        backlog(shop, dead)


def cost(shop, dead, seconds):
    alive = [servers.free_port(), servers.free_port()]
    with receiver(alive[0]), receiver(alive[1]):
        endpoints = [shop.add(port) for port in (*alive, dead)]
        figures = {False: [], True: []}
        shop.orders(1)
        for number in range(ROUNDS):
            for enabled in sorted(figures, reverse=number % 2 == 0):
                shop.enable(endpoints, enabled)
                figures[enabled].append(shop.orders(seconds)[0])
        waited = time.monotonic()
        shop.enable(endpoints[2:], False)
        while shop.waiting():
            time.sleep(0.05)
        waited = time.monotonic() - waited
        shop.enable(endpoints, False)
    for enabled, name in ((False, "without endpoints"), (True, "with three, one of them dead")):
        print(f"{'orders, ' + name:44} {statistics.median(figures[enabled]):8.0f} a second", flush=True)
    ratio = statistics.median(b / a for a, b in zip(figures[False], figures[True]))
    print(f"{'ratio':44} {ratio:8.2f}; all had arrived {waited:.1f} s after the last order", flush=True)


def backlog(shop, dead):
    endpoint = shop.add(dead)
    before = statistics.median(shop.product(number) for number in range(2, 202))
    rates = []
    while (waiting := shop.waiting()) < WAITING:
        rates.append(shop.orders(5)[0])
    after = statistics.median(shop.product(number) for number in range(202, 402))
    quarter = max(len(rates) // 4, 1)
    first, last = statistics.median(rates[:quarter]), statistics.median(rates[-quarter:])
    print(f"{f'orders, until {waiting:,} wait':44} {last:8.0f} a second in the last quarter, {first:.0f} in the first")
    print(f"{f'product, {waiting:,} wait':44} {after:8.2f} ms, {before:.2f} ms before", flush=True)
    with receiver(dead):
        shop.store.ask("PATCH", endpoint, {"enabled": True}, shop.token)
        most, begun = shop.waiting(), time.monotonic()
        while (left := shop.waiting()) > most / 5:
            time.sleep(0.2)
        rate = (most - left) / (time.monotonic() - begun)
    print(f"{'deliveries, when somebody listens again':44} {rate:8.0f} a second", flush=True)


main()
