"""A service that asks a CRM, and tells its callers the truth when that fails."""

import logging
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, TypedDict

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from nexus_connector import AsyncConnector
from nexus_connector.errors import (
    AuthenticationError,
    ConnectorError,
    DeadlineExceededError,
    NotFoundError,
    ResponseFormatError,
    TransportError,
    VendorError,
)

log = logging.getLogger(__name__)


class Order(BaseModel):
    """An order, as the CRM tells it and as this service passes it on."""

    id: str
    total: str


class State(TypedDict):
    """What lives as long as the application."""

    connector: AsyncConnector


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[State]:
    """Build one connector for all requests; its end delivers what is queued."""
    async with AsyncConnector.from_file() as connector:
        yield {"connector": connector}


def the_connector(request: Request) -> AsyncConnector:
    """Return the connector of the application; a test puts another one in its place."""
    connector: AsyncConnector = request.state.connector
    return connector


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


app = FastAPI(lifespan=lifespan)
SharedConnector = Annotated[AsyncConnector, Depends(the_connector)]


@app.exception_handler(ConnectorError)
async def failed(request: Request, error: ConnectorError) -> JSONResponse:
    """Answer what went wrong beyond us.

    The text of the error is for our log, the id of the call for both sides.
    """
    log.warning("call %s: %s", error.call_id, error)
    status, seconds = status_of(error), math.ceil(error.retry_after or 0)
    headers = {"Retry-After": str(seconds)} if status == 503 else {}
    body = {
        "error": type(error).__name__,
        "outcome": error.outcome,
        "call_id": error.call_id,
    }
    return JSONResponse(body, status, headers)


@app.get("/orders/{order}")
async def read_order(order: str, connector: SharedConnector) -> Order:
    """Read an order from the CRM."""
    crm, path = connector.service("crm"), {"order": order}
    return await crm.get("/orders/{order}", path_values=path, into=Order.model_validate)


@app.post("/orders/{order}/reminders", status_code=204)
async def remind(order: str, connector: SharedConnector) -> None:
    """Have the CRM write a reminder; twice would be once too often."""
    crm, path = connector.service("crm"), {"order": order}
    await crm.post("/orders/{order}/reminders", path_values=path)
