"""Whether a time tells if a name or an email address exists.

    export RATE_LIMIT_REQUESTS=0 LOGIN_FAILURES=0 TRUSTED_PROXY_HEADER=X-Forwarded-For
    cargo run --release -- start                                            # in another terminal
    python3 benches/login_timing.py http://localhost:5150 login NAME-THAT-EXISTS
    python3 benches/login_timing.py http://localhost:5150 register ADMIN PASSWORD
    python3 benches/login_timing.py http://localhost:5150 password-reset ADMIN PASSWORD

Asks by turns for one that exists and one that does not, in random order: to log in with a wrong password, to register,
to set a new password. If the time told nothing, each would be the slower one in half of the pairs. 300 pairs differ from
that by more than 26 in one run of 370, by chance alone (three standard deviations).

To an address 3 mails go in an hour: 100 accounts are made for that, and every request comes from another client.
"""

import http.client
import json
import random
import statistics
import sys
import time
import urllib.parse
import uuid

PAIRS = 300
OF_EACH = 3
PASSWORD = "salt kettle 9 anvil fjord"


def ask(server, path, body, token=None):
    headers = {"Content-Type": "application/json"}
    headers["X-Forwarded-For"] = ".".join(str(random.randint(1, 250)) for _ in range(4))
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = http.client.HTTPConnection(server)
    body = json.dumps(body)
    start = time.perf_counter()
    connection.request("POST", f"/api/v1{path}", body, headers)
    answer = connection.getresponse()
    text = answer.read()
    elapsed = (time.perf_counter() - start) * 1000
    connection.close()
    return answer.status, text, elapsed


def expect(status, answer):
    found, text, elapsed = answer
    assert found == status, f"{found}: is the limit turned off? {text}"
    return elapsed, json.loads(text or "null")


def accounts(server, token):
    """Makes people with accounts, and says their addresses."""
    emails = []
    for _ in range(PAIRS // OF_EACH):
        name = f"timing-{uuid.uuid4().hex}"
        email = f"{name}@example.com"
        _, customer = expect(201, ask(server, "/customers", {"name": name, "email": email}, token))
        account = {"customer_id": customer["id"], "username": name, "password": PASSWORD}
        expect(201, ask(server, "/customer-accounts", account, token))
        emails.append(email)
    return emails * OF_EACH


def main():
    server, what = urllib.parse.urlsplit(sys.argv[1]).netloc, sys.argv[2]
    if what == "login":
        known = [sys.argv[3]] * PAIRS

        def milliseconds(name):
            login = {"username": name, "password": "not the right one at all"}
            return expect(401, ask(server, "/auth/login", login))[0]

    else:
        login = {"username": sys.argv[3], "password": sys.argv[4]}
        token = expect(200, ask(server, "/auth/login", login))[1]["token"]
        known = accounts(server, token)

        def milliseconds(email):
            body = {"email": email, "name": "Somebody"}
            if what == "password-reset":
                del body["name"]
            return expect(202, ask(server, f"/auth/{what}", body, token))[0]

    times = {True: [], False: []}
    for pair in range(PAIRS):
        for exists in random.sample([True, False], 2):
            # As long as one that exists, and never the same.
            nobody = f"nobody-{uuid.uuid4().hex}{known[pair][39:]}"
            times[exists].append(milliseconds(known[pair] if exists else nobody))
    slower = sum(a > b for a, b in zip(times[True], times[False]))
    print(
        f"{what}: median {statistics.median(times[True]):.1f} ms where it exists, "
        f"{statistics.median(times[False]):.1f} ms where it does not; "
        f"the existing one was slower in {slower} of {PAIRS} pairs"
    )


main()
