"""What a GET of one product costs, found in the cache and not, against a floor in the same run.

    python3 benches/get.py [ROUNDS]

Needs wrk. Builds the store and the floor (`benches/floor`), starts them on free ports of this machine
with a store of their own, and lets wrk ask each in turn, ROUNDS times (5). Prints the medians of requests
a second and of processor time a request, and the medians of the ratios to the floor, round by round.
"""

import sys
import tempfile

import servers

PATHS = "/api/v1/products/7", "/hit/7", "/api/v1/products/7", "/miss/7"


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    servers.build()
    started = []
    with tempfile.TemporaryDirectory() as directory:
        database = f"sqlite://{directory}/store.sqlite?mode=rwc"
        try:
            for start, name, settings in (
                (servers.store, "store, found in the cache", {}),
                (servers.floor, "floor, from memory", {}),
                (servers.store, "store, cache off", {"CACHE_MAX_BYTES": "0"}),
                (servers.floor, "floor, from SQLite", {}),
            ):
                started.append(start(name, database, **settings))
            token = started[0].log_in()
            servers.compare(list(zip(started, PATHS)), token, rounds)
            servers.report([started[:2], started[2:]])
        finally:
            for server in started:
                server.kill()


main()
