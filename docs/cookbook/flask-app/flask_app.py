"""A service that asks a CRM, and tells its callers the truth when that fails."""

import math
from functools import cache

import attrs
from flask import Flask, Response, jsonify
from flask.typing import ResponseReturnValue

from nexus_connector import Connector
from nexus_connector.errors import (
    AuthenticationError,
    ConnectorError,
    DeadlineExceededError,
    NotFoundError,
    ResponseFormatError,
    TransportError,
    VendorError,
)


@attrs.frozen
class Order:
    """An order, as the CRM tells it and as this service passes it on."""

    id: str
    total: str


@cache
def the_connector() -> Connector:
    """Return the connector of this process, built when it is first needed."""
    return Connector.from_file()


def status_of(error: ConnectorError) -> int:
    """Choose the status by what our own caller can do about it."""
    if isinstance(error, NotFoundError):
        return 404  # there is no such thing
    if isinstance(error, DeadlineExceededError):
        return 504
    if error.retry_after is not None and error.retry_safe:
        return 503  # come again, and when: busy vendors, limits, open circuits
    if isinstance(error, AuthenticationError):
        return 500  # our credentials, not the caller's
    if isinstance(error, TransportError | VendorError | ResponseFormatError):
        return 502
    return 500  # our configuration, our mistake


app = Flask(__name__)


@app.errorhandler(ConnectorError)
def failed(error: ConnectorError) -> ResponseReturnValue:
    """Answer what went wrong beyond us.

    The text of the error is for our log, the id of the call for both sides.
    """
    app.logger.warning("call %s: %s", error.call_id, error)
    status, seconds = status_of(error), math.ceil(error.retry_after or 0)
    headers = {"Retry-After": str(seconds)} if status == 503 else {}
    body = {
        "error": type(error).__name__,
        "outcome": error.outcome,
        "call_id": error.call_id,
    }
    return body, status, headers


@app.get("/orders/<order>")
def read_order(order: str) -> Response:
    """Read an order from the CRM."""
    crm, path = the_connector().service("crm"), {"order": order}
    found = crm.get("/orders/{order}", path_values=path, into=Order)
    return jsonify(attrs.asdict(found))


@app.post("/orders/<order>/reminders")
def remind(order: str) -> ResponseReturnValue:
    """Have the CRM write a reminder; twice would be once too often."""
    crm, path = the_connector().service("crm"), {"order": order}
    crm.post("/orders/{order}/reminders", path_values=path)
    return "", 204
