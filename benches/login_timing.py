"""Whether the time of a failed login tells if the name exists.

    LOGIN_FAILURES=0 RATE_LIMIT_REQUESTS=0 cargo run --release -- start     # in another terminal
    python3 benches/login_timing.py http://localhost:5150 NAME-THAT-EXISTS

Logs in by turns under a name that exists and one that does not, in random order, with a wrong password.
If the time told nothing, each would be the slower one in half of the pairs.
"""

import http.client
import json
import random
import statistics
import sys
import time
import urllib.parse

PAIRS = 300


def milliseconds(server, username):
    connection = http.client.HTTPConnection(server)
    body = json.dumps({"username": username, "password": "not the right one at all"})
    start = time.perf_counter()
    connection.request("POST", "/api/v1/auth/login", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    elapsed = (time.perf_counter() - start) * 1000
    connection.close()
    assert answer.status == 401, f"{answer.status}: is the limit turned off?"
    return elapsed


def main():
    server, known = urllib.parse.urlsplit(sys.argv[1]).netloc, sys.argv[2]
    times = {True: [], False: []}
    for pair in range(PAIRS):
        for exists in random.sample([True, False], 2):
            name = known if exists else f"nobody-{pair}"
            times[exists].append(milliseconds(server, name))
    slower = sum(a > b for a, b in zip(times[True], times[False]))
    print(
        f"median {statistics.median(times[True]):.1f} ms for {known}, "
        f"{statistics.median(times[False]):.1f} ms for nobody; "
        f"{known} was slower in {slower} of {PAIRS} pairs"
    )


main()
