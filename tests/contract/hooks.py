"""Who the fuzzer is (FUZZ_AS: admin, customer, key, nobody), and the checks that need to know the store."""

import functools
import http.server
import itertools
import os
import re
import subprocess
import threading
import time

import requests
import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

URL = os.environ["FUZZ_URL"]
ROLE = os.environ["FUZZ_AS"]
PASSWORD = os.environ["ADMIN_PASSWORD"]
names = (f"{ROLE}-{n}" for n in itertools.count(1))


def post(path, body, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.post(URL + path, json=body, headers=headers, timeout=15)


def log_in(username):
    """A token, or nothing when the account is not what it was."""
    answer = post("/auth/login", {"username": username, "password": PASSWORD})
    if answer.status_code == 401:
        return None
    answer.raise_for_status()
    if answer.json()["account"]["role"] != ROLE:
        return None
    return answer.json()["token"]


def new_account():
    name = next(names)
    if ROLE == "admin":
        # As somebody would who has locked themselves out.
        task = [os.environ["FUZZ_BINARY"], "task", "admin:create", f"username:{name}", f"password:{PASSWORD}"]
        subprocess.run(task, check=True, stdout=subprocess.DEVNULL)
    else:
        admin = post("/auth/login", {"username": os.environ["ADMIN_USERNAME"], "password": PASSWORD}).json()["token"]
        customer = post("/customers", {"name": name, "email": f"{name}@example.com"}, admin)
        customer.raise_for_status()
        account = {"customer_id": customer.json()["id"], "username": name, "password": PASSWORD}
        post("/customer-accounts", account, admin).raise_for_status()
    return name


class Login:
    """Logs in again whenever a token is refused, as somebody new when the account is gone: the fuzzer may
    log itself out, and an administrator may delete, rename or demote themselves."""

    username = None

    def get(self, case, context):
        token = self.username and log_in(self.username)
        while not token:
            self.username = new_account()
            token = log_in(self.username)
        return token

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


@functools.cache
def new_key():
    """A secret key with every scope that the document names, as an operator makes it."""
    document = requests.get(f"{URL.removesuffix('/api/v1')}/api-docs/openapi.json", timeout=15).json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    schemes = [scheme for operation in operations for scheme in operation.get("security", [])]
    scopes = sorted({scope for scheme in schemes for scope in scheme.get("secret_key", [])})
    arguments = ["name:Fuzzer", "kind:secret", f"scopes:{','.join(scopes)}"]
    task = [os.environ["FUZZ_BINARY"], "task", "keys:create", *arguments]
    printed = subprocess.run(task, check=True, stdout=subprocess.PIPE, text=True).stdout
    # It is the last word.
    return printed.split()[-1]


class Key:
    """The same key always: it cannot end itself."""

    def get(self, case, context):
        return new_key()

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


if ROLE != "nobody":
    schemathesis.auth()(Key if ROLE == "key" else Login)

supplied = set()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Gives what was just made to the first request of an operation that the fuzzer would not reach."""
    if ROLE == "nobody":
        return
    label = case.operation.label
    if label == "GET /checkouts" and ROLE == "customer" and case.meta.generation.mode.is_positive:
        # Who sees their own may not ask for those of somebody, as most queries do.
        for name in ("customer_id", "email"):
            case.query.pop(name, None)
    if label not in supplied and supply(case, label):
        supplied.add(label)
        for header in ("If-Match", "Idempotency-Key"):
            case.headers.pop(header, None)


def supply(case, label):
    """Whether the operation is one of those."""
    ids = case.path_parameters
    if "/checkouts/{id}" in label:
        # Nobody guesses the id of one.
        checkout = new_checkout()
        ids["id"] = checkout["id"]
        if "product_id" in ids:
            ids["product_id"] = checkout["items"][0]["product_id"]
        match label.split()[0], label.split("/")[-1]:
            case "PATCH", _:
                case.body = {"note": "Ring twice"}
            case "PUT", _:
                case.body = {"quantity": 2}
            case _, "complete":
                case.body = {"expected_total": checkout["totals"]["total"]}
        return True
    if ROLE == "customer":
        return False
    match label:
        case "PATCH /orders/{id}":
            # The orders of the demo have come to their end, or the fuzzer has cancelled them.
            ids["id"] = new_order()
            case.body = {"status": "paid"}
        case "PUT /customers/{id}":
            # The fuzzer has erased most, and has not many names for the others.
            ids["id"] = new_customer()
            case.body = {"name": "Ada", "email": f"{next(names)}@example.com"}
        case "DELETE /customers/{id}/addresses/{address_id}":
            # Each of its ids has to fit the other.
            ids["id"], ids["address_id"] = new_address()
        case "POST /webhook-deliveries/{id}/retry":
            # Only what was delivered or has failed can be sent again.
            ids["id"] = new_delivery()
        case _:
            return False
    return True


def new_token():
    return new_key() if ROLE == "key" else log_in(new_account())


def new_customer():
    made = post("/customers", {"name": "Ada", "email": f"{next(names)}@example.com"}, new_token())
    made.raise_for_status()
    return made.json()["id"]


def new_address():
    token, customer = new_token(), new_customer()
    address = {"name": "Ada", "line1": "1 Elm Road", "city": "Bath", "postal_code": "BA1 1AA", "country": "GB"}
    made = post(f"/customers/{customer}/addresses", address, token)
    made.raise_for_status()
    return customer, made.json()["id"]


def new_order():
    token = new_token()
    product = post("/products", {"name": "Tea", "price": "1"}, token).json()["id"]
    order = {"customer_id": new_customer(), "items": [{"product_id": product, "quantity": 1}]}
    return post("/orders", order, token).json()["id"]


def new_checkout():
    """One that is nobody's: who changes it may be everybody."""
    if ROLE == "customer":
        admin = {"username": os.environ["ADMIN_USERNAME"], "password": PASSWORD}
        token = post("/auth/login", admin).json()["token"]
    else:
        token = new_token()
    product = post("/products", {"name": "Tea", "price": "1"}, token).json()["id"]
    address = {"name": "Ada", "line1": "1 Elm Road", "city": "Bath", "postal_code": "BA1 1AA", "country": "GB"}
    cart = {
        "items": [{"product_id": product, "quantity": 1}],
        "email": f"{next(names)}@example.com",
        "shipping_address": address,
    }
    checkout = post("/checkouts", cart, token).json()
    for option in checkout["shipping_options"][:1]:
        # What the fuzzer has left of the shipping rates.
        cart["shipping_option_id"] = option["id"]
        checkout = post("/checkouts", cart, token).json()
    return checkout


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes every webhook."""

    def do_POST(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


def new_delivery():
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    token = new_token()
    url = f"http://127.0.0.1:{receiver.server_port}/"
    endpoint = post("/webhook-endpoints", {"url": url, "types": ["order.placed"]}, token).json()["id"]
    delivery = post(f"/webhook-endpoints/{endpoint}/test", {}, token).json()["id"]
    headers = {"Authorization": f"Bearer {token}"}
    for _ in range(100):
        answer = requests.get(f"{URL}/webhook-deliveries/{delivery}", headers=headers, timeout=15)
        if answer.json()["status"] == "delivered":
            break
        time.sleep(0.1)
    return delivery


# What a valid request may be refused for because of what is in the store, or who asks: pointer and code.
REASONS = [
    # A customer orders for themselves, an administrator says for whom; either has to exist.
    (r"/customer_id", "forbidden|required|reference"),
    (r"(/items/\d+)?/product_id", "reference"),
    # What has to be known before there is an order, which has not too many items.
    (r"/items", "items-missing|length|range"),
    (r"/items/\d+", "product-gone"),
    (r"/email", "email-missing"),
    (r"/(shipping|billing)_address", "required|address-missing"),
    (r"/(shipping|billing)_address(/\w+)?", "address-incomplete"),
    (r"/shipping_option_id", "required|reference|shipping-option-missing|shipping-unavailable"),
    # Only a secret key may leave it out.
    (r"/expected_total", "required"),
    # It is unknown or ended, or too little is bought.
    (r"/discount_code", "reference|not_applicable"),
    # It was used more often already.
    (r"/usage_limit", "range"),
    # One of the customer's own addresses, or another one.
    (r"/shipping_address_id", "reference|exclusive"),
    (r"/(new_)?password", "guessable"),
    (r"/new_password", "unchanged"),
    # Only with another email address.
    (r"/current_password", "mismatch|required"),
    # Only of a secret key, which has to have some.
    (r"/scopes", "forbidden|required"),
    # The class of a tax rate that is there.
    (r"/tax_class", "reference"),
    # In either case a country is the same.
    (r"/countries/\d+", "duplicate"),
    # What a value has to be depends on the kind of a discount; and the end comes after the start.
    (r"/value", "required|forbidden|range|precision"),
    (r"/ends_at", "range"),
    # What has ended already.
    (r"/expires_at", "range"),
    # It is in a mail.
    (r"/token", "invalid"),
    # No pattern says what a URL is.
    (r"/url", "format|length"),
    # An account without a customer can only be an administrator's.
    (r"/role", "choice"),
    # All lines of a product together have the limit of one.
    (r"/items/\d+/quantity", "range"),
    # A document can say of no two query parameters that they exclude each other, or that one needs the other.
    (r"/cursor", "exclusive"),
    (r"/(subject|actor)_kind", "required"),
]


def is_about_the_store(response, case):
    try:
        problem = response.json()
    except ValueError:
        return False
    match problem.get("type"):
        case "/problems/precondition-failed" | "/problems/idempotency-mismatch":
            return True
        case "/problems/rate-limited":
            # Nobody may guess codes: after 30 wrong ones no other is looked at.
            return isinstance(case.body, dict) and bool(case.body.get("discount_code"))
        case "/problems/malformed-request":
            # The fuzzer takes ids from other answers, in which one may be null: a checkout need not have a customer.
            if any(value in (None, "None") for value in case.path_parameters.values()):
                return True
            # Only this list in this order gives out cursors for it. Some headers are made without their pattern.
            tags = case.headers.get("If-Match", "*")
            return bool(case.query.get("cursor")) or not ('"' in tags or tags == "*")
        case "/problems/validation-failed":
            return all(
                any(re.fullmatch(at, error["pointer"]) and re.fullmatch(code, error["code"]) for at, code in REASONS)
                for error in problem["errors"]
            )
    return False


@schemathesis.check
def valid_data_acceptance(ctx, response, case):
    if not is_about_the_store(response, case):
        positive_data_acceptance(ctx, response, case)


def may_use(operation):
    """What the document says of the caller."""
    schemes = operation.definition.raw.get("security", operation.schema.raw_schema.get("security", []))
    if not schemes or ROLE == "nobody":
        return not schemes
    if ROLE == "key":
        # It has every scope.
        return any("secret_key" in scheme for scheme in schemes)
    return any(ROLE in (scheme["bearer"] or [ROLE]) for scheme in schemes if "bearer" in scheme)


@schemathesis.check
class Reach:
    """What the caller may use has worked at least once, for who is refused everywhere finds nothing; and
    nothing else has worked."""

    def __init__(self):
        self.tried, self.reached = {}, set()

    def after_response(self, ctx, response, case):
        self.tried[case.operation.label] = may_use(case.operation)
        if 200 <= response.status_code < 300:
            self.reached.add(case.operation.label)
            # Without its token a request is that of nobody, which `ignored_auth` watches.
            assert may_use(case.operation), f"{case.operation.label} is not for {ROLE}"

    def after_run(self, ctx):
        # An administrator who fuzzes may have changed each account whose password the dictionary has; the
        # other two have logged in.
        changed = {"POST /auth/login"} if ROLE == "admin" else set()
        may = {label for label, may in self.tried.items() if may}
        # These administrators have no customer, and so nothing of their own.
        own = {label for label in may if re.search(" /me(/|$)", label) and ROLE == "admin"}
        # The fuzzer reads no mails.
        mailed = {"POST /auth/verify", "POST /auth/password-reset/confirm", "POST /me/email"}
        missing = sorted(may - self.reached - changed - own - mailed)
        assert not missing, f"never worked for {ROLE}: {', '.join(missing)}"
