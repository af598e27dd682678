"""The tasks of the shop: what calls a vendor and may have to wait."""

from functools import cache

import attrs
from celery import Celery, Task
from celery.signals import worker_process_shutdown

from nexus_connector import Connector
from nexus_connector.errors import ConnectorError, TransportError, VendorError

app = Celery("shop")
app.config_from_object("celeryconfig")


@attrs.frozen
class Placed:
    """What the CRM answers."""

    id: str


@cache
def the_connector() -> Connector:
    """Return the connector of this process, built with its first task."""
    return Connector.from_file()


@worker_process_shutdown.connect
def close_connector(**_: object) -> None:
    """Deliver what is queued: a worker process ends without Python's own clean-up."""
    if the_connector.cache_info().currsize:
        the_connector().close()


def pause_seconds(error: ConnectorError, retries: int) -> float | None:
    """Say when the same call may be made again; ``None``: not by itself."""
    if not error.retry_safe:
        return None  # it may have happened, and no key of ours would stop a second time
    if error.retry_after is not None:
        return error.retry_after  # the vendor, a limit or an open circuit says when
    if isinstance(error, VendorError) and error.status < 500:
        return None  # the same call would be refused again
    if isinstance(error, VendorError | TransportError):
        return float(min(600, 5 * 2**retries))
    return None  # our configuration, our mistake


@app.task(bind=True, max_retries=8, throws=(ConnectorError,))
def place_order(self: Task, basket: str, sku: str) -> str:
    """Place the order of a basket and return its id.

    The key is made of the basket, not of the task: whoever asks twice gets one order.
    """
    crm = the_connector().service("crm")
    try:
        placed = crm.post(
            "/baskets/{basket}/order",
            path_values={"basket": basket},
            json={"sku": sku},
            idempotency_key=f"order-{basket}",
            into=Placed,
        )
    except ConnectorError as error:
        seconds = pause_seconds(error, self.request.retries)
        if seconds is None:
            raise
        raise self.retry(exc=error, countdown=seconds) from error
    return placed.id
