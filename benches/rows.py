"""Rows by the million, written past the store, for the benchmarks beside this file."""

import datetime
import sqlite3
import subprocess
import urllib.parse

CHUNK = 1_000
# Whose lists are as long as the tables.
CUSTOMER = PRODUCT = 1
NOON = datetime.datetime(2026, 1, 1, 12)

TABLES = {
    "customers": "id, name, email, email_key, phone, name_key, search_text, erased, created_at, updated_at",
    "products": "id, sku, name, description, price_minor, stock, name_key, search_text, archived, created_at, "
    "updated_at, sku_key",
    "orders": "id, customer_id, status, currency, total_minor, shipping_address, note, placed_at, updated_at",
    "order_items": "id, order_id, line, product_id, sku, name, unit_price_minor, quantity, line_total_minor",
    "order_events": "id, order_id, status, account_id, actor, reason, created_at",
    "stock_movements": "id, product_id, kind, delta, reason, order_id, account_id, actor, created_at",
}


def add(database, count):
    """Adds so many rows to each table. Half of the orders are one customer's, and of one product."""
    run, time_format = writer(database)
    for table, columns in TABLES.items():
        for start in range(1, count + 1, CHUNK):
            numbers = range(start, min(start + CHUNK, count + 1))
            values = ", ".join(row(table, number, time_format) for number in numbers)
            run(f"INSERT INTO {table} ({columns}) VALUES {values};\n")
    run(None)


def row(table, number, time_format):
    at = (NOON + datetime.timedelta(seconds=number)).strftime(time_format)
    customer, product = (CUSTOMER, PRODUCT) if number % 2 else (number, number)
    price = 100 + number % 9_000
    match table:
        case "customers":
            email = f"c{number}@example.com"
            search = f"customer {number}\x1f{email}\x1f"
            return (
                f"({number}, 'Customer {number}', '{email}', '{email}', NULL, 'customer {number}', '{search}', "
                f"0, '{at}', '{at}')"
            )
        case "products":
            search = f"product {number}\x1fs-{number}"
            text = f"Number {number} of the products that are here to be many. It is as good as any other."
            return (
                f"({number}, 'S-{number}', 'Product {number}', '{text}', {price}, 1000000000, 'product {number}', "
                f"'{search}', 0, '{at}', '{at}', 's-{number}')"
            )
        case "orders":
            return f"({number}, {customer}, 'placed', 'USD', {price}, NULL, NULL, '{at}', '{at}')"
        case "order_items":
            return f"({number}, {number}, 1, {product}, 'S-{product}', 'Product {product}', {price}, 1, {price})"
        case "order_events":
            return f"({number}, {number}, 'placed', 1, 'pat', NULL, '{at}')"
        case "stock_movements":
            return f"({number}, {product}, 'order', -1, NULL, {number}, 1, 'pat', '{at}')"


def writer(database):
    """What runs a statement, or ends when there is none; and how times are written there."""
    if database.startswith("sqlite"):
        connection = sqlite3.connect(database.removeprefix("sqlite://").split("?")[0], isolation_level=None)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")

        def run(statement):
            connection.execute(statement or "COMMIT")
            if not statement:
                # Only these: what is counted as one row now is looked at from its beginning when there are many.
                for table in TABLES:
                    connection.execute(f"ANALYZE {table}")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.close()

        return run, "%Y-%m-%dT%H:%M:%S.%f+00:00"
    url = urllib.parse.urlsplit(database)
    command = ["mariadb", f"--host={url.hostname}", f"--port={url.port or 3306}", f"--user={url.username}"]
    command += [f"--password={url.password or ''}", url.path.strip("/")]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    client.stdin.write("SET unique_checks = 0, foreign_key_checks = 0; BEGIN;\n")

    def run(statement):
        client.stdin.write(statement or f"COMMIT; ANALYZE TABLE {', '.join(TABLES)};\n")
        if not statement:
            client.stdin.close()
            if client.wait():
                raise SystemExit("the rows could not be written")

    return run, "%Y-%m-%d %H:%M:%S.%f"
