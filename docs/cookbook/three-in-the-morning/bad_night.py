"""A bad night: four things that go wrong, each for itself."""

import logging
import math
import sys

from nexus_connector import Connector
from nexus_connector.errors import ConnectorError, OutcomeUnknownError

log = logging.getLogger("shop")


def tell(connector: Connector, error: ConnectorError) -> None:
    """Write the line that whoever is woken reads first."""
    connector.flush()  # what other threads have to say about it stands above
    log.error(
        "%s call=%s outcome=%s retry_safe=%s retry_after=%s: %s",
        type(error).__name__,
        error.call_id,
        error.outcome,
        error.retry_safe,
        error.retry_after and math.ceil(error.retry_after),
        error,
    )


def vendor_down(connector: Connector) -> None:
    """Ask for rates until the circuit opens, and once more."""
    for _ in range(4):
        try:
            connector.service("shipping").get("/rates")
        except ConnectorError as error:
            tell(connector, error)


def limit_reached(connector: Connector) -> None:
    """Write a contact when the CRM has had enough of us."""
    try:
        connector.service("crm").post("/contacts", json={"name": "Ada"})
    except ConnectorError as error:
        tell(connector, error)


def key_revoked(connector: Connector) -> None:
    """Ask with a key that was found in public and revoked."""
    try:
        connector.service("stock").get("/parts/{id}", path_values={"id": 7})
    except ConnectorError as error:
        tell(connector, error)


def payout_unknown(connector: Connector) -> None:
    """Pay somebody, lose the answer, and look before doing it again."""
    bank = connector.service("bank")
    payout = {
        "reference": "payout-1001",
        "iban": "DE02120300000000202051",
        "amount": "12.50",
    }
    try:
        bank.post("/payouts", json=payout)
    except OutcomeUnknownError as error:
        tell(connector, error)
        found = bank.get("/payouts", query={"reference": payout["reference"]}).json()
        log.info("the bank knows %s of payout-1001: %s", len(found), found)


def after_an_outage() -> Connector:
    """Return a connector that has met an outage, for ``nexus --app`` to look at."""
    connector = Connector.from_file()
    vendor_down(connector)
    return connector


SCENES = {
    "vendor-down": vendor_down,
    "limit-reached": limit_reached,
    "key-revoked": key_revoked,
    "payout-unknown": payout_unknown,
}


def main(scene: str) -> None:
    """Let one thing go wrong."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    with Connector.from_file() as connector:
        SCENES[scene](connector)


if __name__ == "__main__":
    main(sys.argv[1])
