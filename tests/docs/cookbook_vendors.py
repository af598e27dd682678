"""The vendors of the cookbook, played on this machine over real HTTP, so that every program runs without an account.

``python tests/docs/cookbook_vendors.py RECIPE COMMAND ...`` runs a command in the folder of a recipe meanwhile.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import cast

from nexus_connector.testing.emulator import Answer, Arrival, Compute, Hang, Keyed, Reset, Stream, VendorEmulator

BOOK = Path(__file__).parents[2] / "docs" / "cookbook"


class Vendors:
    """The vendors of one recipe.

    Attributes:
        environment: Variables by which the programs find them, and the secrets that they know.
        services: The vendors, by the name of their service.
    """

    def __init__(self, stack: ExitStack) -> None:
        self.environment: dict[str, str] = {}
        self.services: dict[str, VendorEmulator] = {}
        self._stack = stack

    def start(self, service: str) -> VendorEmulator:
        """Return the vendor of a service, with an address of its own."""
        vendor = self.services[service] = self._stack.enter_context(VendorEmulator(name=service))
        self._tell(service, vendor.url)
        return vendor

    def serve(self, service: str, handler: type[BaseHTTPRequestHandler]) -> None:
        """Let a handler of Python's own server be the vendor of a service."""
        server = self._stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        thread = Thread(target=server.serve_forever, name=service)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(server.shutdown)
        self._tell(service, f"http://127.0.0.1:{server.server_port}")

    def _tell(self, service: str, url: str) -> None:
        self.environment[f"NEXUS__SERVICES__{service.upper()}__BASE_URL"] = url

    def secret(self, variable: str) -> str:
        """Make a secret up and put it where the program looks for it."""
        value = self.environment[variable] = f"made-up-{variable.lower().replace('_', '-')}"
        return value


def checked(header: str, value: str, answer: Answer | Callable[[Arrival], Answer]) -> Compute:
    """Answer those who prove who they are; the others get a 401."""

    def compute(arrival: Arrival) -> Answer:
        if arrival.headers.get(header) != value:
            return Answer(401, json={"error": "who are you?"})
        return answer if isinstance(answer, Answer) else answer(arrival)

    return Compute(compute)


def first_email(vendors: Vendors) -> None:
    """Let SendGrid take messages."""
    key = vendors.secret("SENDGRID_API_KEY")
    taken = Answer(202, headers={"X-Message-Id": "14c5d75ce93"})
    vendors.start("sendgrid").on("POST /v3/mail/send", checked("Authorization", f"Bearer {key}", taken))


def swap_vendor(vendors: Vendors) -> None:
    """Let SendGrid and Postmark take messages."""
    first_email(vendors)
    token = vendors.secret("POSTMARK_SERVER_TOKEN")
    taken = Answer(json={"MessageID": "b7bc2f4a-e38e", "ErrorCode": 0, "Message": "OK"})
    vendors.start("postmark").on("POST /email", checked("X-Postmark-Server-Token", token, taken))


def rest_api(vendors: Vendors) -> None:
    """Let a CRM know customers in pages, one order and a broken one, and place orders once per key."""
    bearer = f"Bearer {vendors.secret('CRM_TOKEN')}"
    crm = vendors.start("crm")
    line = {"sku": "tea", "count": 2, "price": "4.20", "vat": "0.2"}
    order = {"id": "2026/17", "state": "paid", "placed_on": "2026-03-14", "lines": [line]}
    first = {"data": [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Charles"}], "meta": {"next": "c2"}}
    last = {"data": [{"id": 3, "name": "Grace"}], "meta": {"next": None}}

    def customers(arrival: Arrival) -> Answer:
        pages = {"limit=2&city=London": first, "limit=2&city=London&cursor=c2": last}
        return Answer(json=pages[arrival.query])

    def place(arrival: Arrival) -> Answer:
        asked = cast("dict[str, object]", arrival.json())
        return Answer(201, json={"id": "o-9", "state": "open", "placed_on": "2026-03-15", "lines": asked["lines"]})

    crm.on("GET /customers", checked("Authorization", bearer, customers))
    crm.on("GET /customers/1/orders/*", Answer(404, json={"error": "no such order"}))
    crm.on("GET /customers/1/orders/2026%2F17", checked("Authorization", bearer, Answer(json=order)))
    crm.on("GET /customers/1/orders/broken", Answer(json={**order, "lines": [{**line, "count": "many"}]}))
    crm.on("POST /orders", Keyed(Compute(place), lose=True), Keyed(Compute(place)))
    crm.on("DELETE /orders/o-9", Answer(204))
    crm.on("DELETE /orders/2026%2F17", Answer(409, json={"error": "paid"}))


def orders(vendors: Vendors) -> None:
    """Let a CRM know an order, miss one, be busy with one, hang over one, and fail to say whether it did a thing."""
    bearer = f"Bearer {vendors.secret('CRM_TOKEN')}"
    crm = vendors.start("crm")
    crm.on("GET /orders/7", checked("Authorization", bearer, Answer(json={"id": "7", "total": "12.50"})))
    crm.on("GET /orders/8", Answer(404))
    crm.on("GET /orders/9", Answer(503, headers={"Retry-After": "60"}))
    crm.on("GET /orders/10", Hang())
    crm.on("POST /orders/7/reminders", Answer(500))


def celery_task(vendors: Vendors) -> None:
    """Let a CRM place orders once per key: one at once, one later, one whose answer is lost, one never."""
    bearer = f"Bearer {vendors.secret('CRM_TOKEN')}"
    crm = vendors.start("crm")

    def placed(order: str) -> Compute:
        return checked("Authorization", bearer, Answer(201, json={"id": order}))

    crm.on("POST /baskets/b-1/order", Keyed(placed("o-1")))
    crm.on("POST /baskets/b-2/order", Answer(503, headers={"Retry-After": "1"}), Keyed(placed("o-2")))
    crm.on("POST /baskets/b-3/order", Keyed(placed("o-3"), lose=True), Keyed(placed("o-3")))
    crm.on("POST /baskets/b-4/order", Answer(422, json={"error": "no such thing"}))


def signing_hook(vendors: Vendors) -> None:
    """Let a warehouse take what is signed, at once, once per signature; at first it is busy."""
    key = vendors.secret("WAREHOUSE_KEY").encode()
    warehouse = vendors.start("warehouse")
    seen: set[str] = set()

    def is_signed(arrival: Arrival) -> bool:
        stamp, given = (arrival.headers.get("X-Timestamp", "0"), arrival.headers.get("X-Signature", ""))
        signed = f"{arrival.method}\n{arrival.target}\n{stamp}\n".encode() + arrival.body
        right = hmac.compare_digest(given, f"v1={hmac.new(key, signed, hashlib.sha256).hexdigest()}")
        fresh = abs(time.time() - float(stamp)) < 300 and given not in seen
        seen.add(given)
        return right and fresh

    def busy(arrival: Arrival) -> Answer:
        return Answer(503, headers={"Retry-After": "1"}) if is_signed(arrival) else Answer(401)

    def taken(arrival: Arrival) -> Answer:
        return Answer(json=arrival.json()) if is_signed(arrival) else Answer(401)

    warehouse.on("PUT /stock/tea", Compute(busy), Compute(taken))
    warehouse.on("GET /stock/tea", Compute(taken))


def slack_alert(vendors: Vendors) -> None:
    """Let a CRM be down for five calls, and Slack take messages for one webhook, slowly."""
    webhook = vendors.environment["SLACK_WEBHOOK_PATH"] = "T00000000/B00000000/made-up-of-twenty-four-x"
    taken = Answer(body=b"ok", headers={"Content-Type": "text/html"}, delay_seconds=0.4)
    vendors.start("slack").on(f"POST /services/{webhook}", taken)
    vendors.start("crm").on("GET /orders", *[Answer(500)] * 5, Answer(json=[]))


def unit_tests(vendors: Vendors) -> None:
    """Nobody is needed."""


def own_adapter(vendors: Vendors) -> None:
    """Let Pigeon take messages, once per key; the answer to the first one is lost."""
    key = vendors.secret("PIGEON_KEY")
    pigeon = vendors.start("pigeon")

    def batch(arrival: Arrival) -> Answer:
        people = [message["to"][0] for message in cast("list[dict[str, list[str]]]", arrival.json())]
        rejected = {"state": "rejected", "reason": "on the suppression list"}
        taken = [{"id": f"p-{number}", "state": "queued"} for number in range(2, 2 + len(people))]
        return Answer(
            json=[rejected if who == "bob@example.com" else each for who, each in zip(people, taken, strict=True)]
        )

    one = checked("X-Pigeon-Key", key, Answer(202, json={"id": "p-1", "state": "queued"}))
    pigeon.on("POST /messages", Keyed(one, lose=True), Keyed(one))
    pigeon.on("POST /batches", checked("X-Pigeon-Key", key, batch))


class Archive(BaseHTTPRequestHandler):
    """Takes files of any size and keeps none: the emulator holds every request in memory, which is not for 2 GB."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        """Read a body piece by piece, and answer its size and checksum."""
        digest, left = hashlib.sha256(), int(self.headers["Content-Length"])
        size = left
        while left:
            piece = self.rfile.read(min(left, 1 << 20))
            digest.update(piece)
            left -= len(piece)
        answer = json.dumps({"bytes": size, "sha256": digest.hexdigest()}).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def large_files(vendors: Vendors) -> None:
    """Let a service have exports named after their size in MiB, and another one take files."""
    for variable in ("REPORTS_TOKEN", "ARCHIVE_TOKEN"):
        vendors.secret(variable)
    reports = vendors.start("reports")
    for megabytes in (1, 64, 256, 2048):
        reports.on(f"GET /exports/{megabytes}", Stream(megabytes))
    vendors.serve("archive", Archive)


def three_in_the_morning(vendors: Vendors) -> None:
    """Let a vendor be down, one be busy for two minutes, one know no key of ours, and one lose its answer."""
    for name in ("SHIPPING_TOKEN", "CRM_TOKEN", "STOCK_KEY", "BANK_TOKEN"):
        vendors.secret(name)
    vendors.start("shipping").on("GET /rates", Answer(500))
    vendors.start("crm").on("POST /contacts", Answer(429, headers={"Retry-After": "120"}))
    vendors.start("stock").on("GET /parts/7", Answer(401))
    bank = vendors.start("bank")
    bank.on("POST /payouts", Reset())
    bank.on("GET /payouts", Answer(json=[{"id": "p-9", "reference": "payout-1001", "state": "paid"}]))


RECIPES: dict[str, Callable[[Vendors], None]] = {
    "first-email": first_email,
    "swap-vendor": swap_vendor,
    "rest-api": rest_api,
    "fastapi-service": orders,
    "flask-app": orders,
    "django-view": orders,
    "celery-task": celery_task,
    "signing-hook": signing_hook,
    "slack-alert": slack_alert,
    "unit-tests": unit_tests,
    "own-adapter": own_adapter,
    "large-files": large_files,
    "three-in-the-morning": three_in_the_morning,
}


@contextmanager
def playing(recipe: str) -> Generator[Vendors]:
    """Let the vendors of a recipe play."""
    with ExitStack() as stack:
        vendors = Vendors(stack)
        RECIPES[recipe](vendors)
        yield vendors


def main(recipe: str, *command: str) -> int:
    """Run a command in the folder of a recipe while its vendors play."""
    with playing(recipe) as vendors:
        environment = os.environ | vendors.environment
        return subprocess.run(command, cwd=BOOK / recipe, env=environment, check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in RECIPES:
        sys.exit(f"python tests/docs/cookbook_vendors.py RECIPE COMMAND ...\nrecipes: {', '.join(RECIPES)}")
    sys.exit(main(*sys.argv[1:]))
