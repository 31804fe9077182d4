"""Servers that the benchmarks beside this file start, load with wrk, and measure."""

import base64
import contextlib
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

ROUNDS = 3
PASSWORD = "salt kettle 9 anvil fjord"
SECONDS = 3
SECRET = base64.b64encode(secrets.token_bytes(64)).decode()
TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def workplace(database="sqlite"):
    """Builds the store and the floor. Gives a folder and the database's address; afterwards no server runs."""
    subprocess.run(["cargo", "build", "--release", "--bin", "boxcar-cli", "--example", "floor"], check=True)
    # Not where temporary files are: in memory nothing would have to be written to a disk.
    with tempfile.TemporaryDirectory(dir="target") as folder:
        try:
            yield folder, f"sqlite://{folder}/store.sqlite?mode=rwc" if database == "sqlite" else database
        finally:
            while Server.running:
                Server.running[-1].stop()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A server on a port of its own."""

    running = []

    def __init__(self, name, command, port, **environment):
        self.name, self.url, self.figures = name, f"http://127.0.0.1:{port}", []
        self.process = subprocess.Popen(
            command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.running.append(self)
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.1)
        sys.exit(f"{name} does not start")

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.running.remove(self)

    def memory(self):
        """What of its memory is in use, in kB."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])

    def ask(self, method, path, body=None, token=None):
        """The answer to one request."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode() if body else None, headers, method=method
        )
        return json.load(urllib.request.urlopen(request))

    def log_in(self):
        return self.ask("POST", "/api/v1/auth/login", {"username": "pat", "password": PASSWORD})["token"]

    def processor_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def measure(self, path, token, seconds, script, connections):
        """Has wrk ask for a while: requests a second, and microseconds of processor time a request."""
        before = self.processor_seconds()
        command = ["wrk", "--timeout", "15s", "-t1", f"-c{connections}", f"-d{seconds}s", "-H", f"Authorization: Bearer {token}"]
        command += ["-s", script, self.url + path]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        used = self.processor_seconds() - before
        if "Non-2xx" in printed or "Socket errors" in printed:
            sys.exit(f"{self.name}\n{printed}")
        requests = int(re.search(r"(\d+) requests in", printed)[1])
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", printed)[1])
        return rate, used / max(requests, 1) * 1e6


def store(name, database, **environment):
    port = free_port()
    return Server(
        name,
        ["target/release/boxcar-cli", "start"],
        port,
        LOCO_ENV="production",
        PORT=str(port),
        DATABASE_URL=database,
        JWT_SECRET=SECRET,
        ADMIN_USERNAME="pat",
        ADMIN_PASSWORD=PASSWORD,
        # Counted, but never used up.
        RATE_LIMIT_REQUESTS="4000000000",
        **environment,
    )


def floor(name, database):
    port = free_port()
    return Server(name, ["target/release/examples/floor", str(port), database], port, JWT_SECRET=SECRET)


def compare(targets, token, script, connections):
    """Measures each server with its path, in turn, after a second to warm up. `script` is Lua, for wrk."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(script)
        lua.flush()
        for server, path in targets:
            server.figures = []
            server.measure(path, token, 1, lua.name, connections)
        for _ in range(ROUNDS):
            for server, path in targets:
                server.figures.append(server.measure(path, token, SECONDS, lua.name, connections))


def summary(targets):
    """The medians of the first server's figures, and of the ratios to the second, round by round."""
    (store, _), *floors = targets
    rate, cost = (statistics.median(figures) for figures in zip(*store.figures))
    line = f"{rate:8.0f} requests/s {cost:7.1f} us"
    for floor, _ in floors:
        rates = statistics.median(a / b for (a, _), (b, _) in zip(store.figures, floor.figures))
        costs = statistics.median(a / b for (_, a), (_, b) in zip(store.figures, floor.figures))
        line += f", {rates:.2f} x the floor's requests, {costs:.2f} x its time"
    return line
