"""What a GET of one product costs, found in the cache and not, against a floor in the same run.

    python3 benches/get.py [ROUNDS]

Needs wrk. Builds the store and the floor (`benches/floor`), starts them on free ports of this machine
with a store of their own, and lets wrk ask each in turn, ROUNDS times (5). Prints the medians of requests
a second and of processor time a request, and the medians of the ratios to the floor, round by round.
"""

import sys

import servers


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with servers.workplace() as (_, database):
        kept = servers.store("store, found in the cache", database)
        from_memory = servers.floor("floor, from memory", database)
        made = servers.store("store, cache off", database, CACHE_MAX_BYTES="0")
        from_database = servers.floor("floor, from SQLite", database)
        product = "/api/v1/products/7"
        targets = [(kept, product), (from_memory, "/hit/7"), (made, product), (from_database, "/miss/7")]
        servers.compare(targets, kept.log_in(), rounds)
        servers.report([(kept, from_memory), (made, from_database)])


main()
