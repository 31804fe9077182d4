"""Runs the two receivers of docs/events.md, lets the shop send them events, and attacks them with forged requests.

    receivers.py URL PYTHON_RECEIVER JAVASCRIPT_RECEIVER

The server at URL may send to private addresses. The administrator's name and password are in ADMIN_USERNAME and
ADMIN_PASSWORD. Each receiver runs in the folder of its program, which has what it imports.
"""

import json
import os
import pathlib
import socket
import sqlite3
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone

import requests
from standardwebhooks import Webhook

URL = sys.argv[1] + "/api/v1"
PATIENCE = 20


class Receiver:
    """A receiver of the documentation, with its inbox."""

    def __init__(self, program):
        self.program = pathlib.Path(program)
        self.folder = self.program.parent
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/hooks"
        self.running = None

    def start(self, secret):
        self.stop()
        runner = "node" if self.program.suffix == ".mjs" else sys.executable
        env = dict(os.environ, PORT=str(self.port), WEBHOOK_SECRET=secret)
        command = [runner, self.program.name]
        self.running = subprocess.Popen(command, cwd=self.folder, env=env, stderr=subprocess.DEVNULL)
        self.webhook = Webhook(secret)
        wait_for(self.listens, f"{self.program.name} does not listen")

    def listens(self):
        if self.running.poll() is not None:
            sys.exit(f"{self.program.name} has ended")
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        if self.running:
            self.running.terminate()
            self.running.wait()

    def inbox(self):
        """The body of each event that was received."""
        if self.program.suffix == ".mjs":
            files = self.folder.glob("inbox/*.json")
            return {int(file.stem): file.read_text() for file in files}
        with sqlite3.connect(self.folder / "inbox.sqlite") as db:
            return dict(db.execute("SELECT id, body FROM events"))

    def post(self, body, headers):
        answer = requests.post(self.url, data=body.encode(), headers=headers, timeout=10)
        return answer.status_code


def wait_for(condition, complaint):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            sys.exit(complaint)
        time.sleep(0.1)


def expect(found, expected, what):
    if found != expected:
        sys.exit(f"{what}: {found} instead of {expected}")


def signed(webhook, event_id, at, body):
    return {
        "webhook-id": f"evt_{event_id}",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": webhook.sign(f"evt_{event_id}", at, body),
    }


def attack(receiver):
    """Requests that the shop has not made are refused, and one that it repeats is stored once."""
    name = receiver.program.name
    before = receiver.inbox()
    event_id = 10**9
    body = json.dumps({"id": event_id, "type": "order.placed", "timestamp": "2026-01-31T09:30:00Z"})
    now = datetime.now(timezone.utc)
    good = signed(receiver.webhook, event_id, now, body)
    stranger = Webhook("whsec_" + "A" * 32)
    old = signed(receiver.webhook, event_id, now - timedelta(minutes=6), body)
    early = signed(receiver.webhook, event_id, now + timedelta(minutes=6), body)
    refused = {
        "a changed body": (body.replace("placed", "paid"), good),
        "another id": (body, good | {"webhook-id": "evt_1"}),
        "another time": (body, good | {"webhook-timestamp": str(int(good["webhook-timestamp"]) + 1)}),
        "a wrong secret": (body, signed(stranger, event_id, now, body)),
        "an old request": (body, old),
        "a request of the future": (body, early),
        "an old signature with a new time": (body, old | {"webhook-timestamp": good["webhook-timestamp"]}),
        "no signature": (body, {}),
        "an empty signature": (body, good | {"webhook-signature": ""}),
        "half a signature": (body, good | {"webhook-signature": good["webhook-signature"][:20]}),
        "a signature that is none": (body, good | {"webhook-signature": "v1,"}),
        "one that is not even close": (body, good | {"webhook-signature": "v1"}),
        "another version": (body, good | {"webhook-signature": "v2" + good["webhook-signature"][2:]}),
        "no body": ("", good),
    }
    for what, (text, headers) in refused.items():
        expect(receiver.post(text, headers), 400, f"{name}, {what}")
    expect(receiver.inbox(), before, f"{name}, the inbox after forged requests")
    both = stranger.sign(f"evt_{event_id}", now, body) + " " + good["webhook-signature"]
    for headers in [good, good, good | {"webhook-signature": both}]:
        expect(receiver.post(body, headers), 204, f"{name}, a genuine request")
    expect(receiver.inbox(), before | {event_id: body}, f"{name}, the inbox after repeated requests")


def call(method, path, token=None, expected=200, **options):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = requests.request(method, URL + path, headers=headers, timeout=15, **options)
    if answer.status_code != expected:
        sys.exit(f"{method} {path}: {answer.status_code} {answer.text}")
    return answer.json()


def deliver(token, receivers, what):
    """Makes two events, and waits until each receiver has exactly these beside what it had."""
    before = [receiver.inbox() for receiver in receivers]
    product = call("POST", "/products", token, 201, json={"name": f"Bolt, “{what}” – 5 €", "price": "0.10"})
    call("PATCH", f"/products/{product['id']}", token, json={"price": "0.20"})
    query = {"subject_kind": "product", "subject_id": product["id"]}
    events = {event["id"]: event for event in call("GET", "/events", token, params=query)["items"]}
    types = sorted(event["type"] for event in events.values())
    expect(types, ["product.created", "product.updated"], "the events")
    for receiver, had in zip(receivers, before):
        name = receiver.program.name
        expected = set(had) | set(events)
        wait_for(lambda: expected <= set(receiver.inbox()), f"{name}, {what}: not every event has arrived")
        expect(set(receiver.inbox()), expected, f"{name}, {what}")
        for event_id, event in events.items():
            body = {
                "id": event_id,
                "type": event["type"],
                "timestamp": event["occurred_at"],
                "subject": event["subject"],
                "data": event["data"],
            }
            found = json.loads(receiver.inbox()[event_id])
            expect(list(found), list(body), f"{name}, the fields of an event")
            expect(found, body, f"{name}, an event")


def main():
    receivers = [Receiver(program) for program in sys.argv[2:]]
    try:
        login = {"username": os.environ["ADMIN_USERNAME"], "password": os.environ["ADMIN_PASSWORD"]}
        token = call("POST", "/auth/login", json=login)["token"]
        endpoints = []
        for receiver in receivers:
            wanted = {"url": receiver.url, "types": ["product.*"]}
            endpoint = call("POST", "/webhook-endpoints", token, 201, json=wanted)
            endpoints.append(endpoint)
            receiver.start(endpoint["secret"])
        deliver(token, receivers, "the first secret")
        rotated = [call("POST", f"/webhook-endpoints/{endpoint['id']}/rotate-secret", token) for endpoint in endpoints]
        deliver(token, receivers, "the old secret after a new one")
        for receiver, endpoint in zip(receivers, rotated):
            receiver.start(endpoint["secret"])
        deliver(token, receivers, "the new secret")
        for receiver in receivers:
            attack(receiver)
        print(f"{len(receivers)} receivers verify what the shop sends, and nothing else")
    finally:
        for receiver in receivers:
            receiver.stop()


if __name__ == "__main__":
    main()
