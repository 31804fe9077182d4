"""What a GET of one product costs, found in the cache and not, against a floor in the same run.

    python3 benches/get.py [ROUNDS]

Needs wrk. Builds the store and the floor (`benches/floor.rs`), starts them on free ports of this machine
with a store of their own, and lets wrk ask each in turn, ROUNDS times (5). Prints the medians of requests
a second and of processor time a request, and the medians of the ratios to the floor, round by round.
"""

import base64
import json
import os
import re
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

SECONDS = 4
CONNECTIONS = 32
PASSWORD = "salt kettle 9 anvil fjord"
SECRET = base64.b64encode(secrets.token_bytes(64)).decode()
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Target:
    """A server, and the path that it is asked for."""

    def __init__(self, name, command, port, path, **environment):
        self.name, self.url = name, f"http://127.0.0.1:{port}{path}"
        self.process = subprocess.Popen(
            command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.figures = []
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.1)
        sys.exit(f"{name} does not start")

    def processor_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def measure(self, token, seconds=SECONDS):
        """Requests a second, and microseconds of processor time a request."""
        before = self.processor_seconds()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-H", f"Authorization: Bearer {token}", self.url]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        used = self.processor_seconds() - before
        if "Non-2xx" in printed or "Socket errors" in printed:
            sys.exit(f"{self.name}\n{printed}")
        requests = int(re.search(r"(\d+) requests in", printed)[1])
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", printed)[1])
        return rate, used / requests * 1e6


def store(name, directory, port, **environment):
    return Target(
        name,
        ["target/release/boxcar-cli", "start"],
        port,
        "/api/v1/products/7",
        LOCO_ENV="production",
        LOG_LEVEL="error",
        PORT=str(port),
        DATABASE_URL=f"sqlite://{directory}/store.sqlite?mode=rwc",
        JWT_SECRET=SECRET,
        SEED_DEMO="true",
        ADMIN_USERNAME="pat",
        ADMIN_PASSWORD=PASSWORD,
        # Counted, but never used up.
        RATE_LIMIT_REQUESTS="4000000000",
        **environment,
    )


def log_in(port):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/auth/login",
        json.dumps({"username": "pat", "password": PASSWORD}).encode(),
        {"Content-Type": "application/json"},
    )
    return json.load(urllib.request.urlopen(request))["token"]


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    subprocess.run(["cargo", "build", "--release", "--bin", "boxcar-cli", "--example", "floor"], check=True)
    targets = []
    with tempfile.TemporaryDirectory() as directory:
        try:
            ports = [free_port() for _ in range(4)]
            targets.append(store("store, found in the cache", directory, ports[0]))
            targets.append(store("store, cache off", directory, ports[1], CACHE_MAX_BYTES="0"))
            token = log_in(ports[0])
            for name, port, path in (("floor, from memory", ports[2], "/hit/7"), ("floor, from SQLite", ports[3], "/miss/7")):
                command = ["target/release/examples/floor", str(port), f"{directory}/store.sqlite"]
                targets.append(Target(name, command, port, path, JWT_SECRET=SECRET))
            for target in targets:
                target.measure(token, seconds=1)
            for _ in range(rounds):
                for target in targets:
                    target.figures.append(target.measure(token))
            report(targets)
        finally:
            for target in targets:
                target.process.kill()
                target.process.wait()


def report(targets):
    for target in targets:
        rate, cost = (statistics.median(figures) for figures in zip(*target.figures))
        print(f"{target.name:28} {rate:8.0f} requests/s {cost:6.1f} us of processor time a request")
    for target, floor in zip(targets[:2], targets[2:]):
        rate = statistics.median(a / b for (a, _), (b, _) in zip(target.figures, floor.figures))
        cost = statistics.median(a / b for (_, a), (_, b) in zip(target.figures, floor.figures))
        print(f"{target.name} against {floor.name}: {rate:.0%} of the requests/s, {cost:.2f} x the processor time")


main()
