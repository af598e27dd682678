"""The outage: a service dies, its circuit opens, and who calls it meanwhile is refused at once."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager, suppress
from statistics import median
from time import perf_counter
from typing import Final

import attrs

from nexus_connector.errors import CircuitOpenError, ConnectorError

from .application import page_on_call, read_orders
from .stage import Stage

REFUSALS: Final = 1_000
_PATIENCE: Final = 20
"""Calls after which a circuit that is still closed will not open."""


@attrs.frozen(kw_only=True)
class Outage:
    """What an outage came to.

    Attributes:
        failures: Requests that failed before the circuit opened.
        calls: Calls that made them.
        pages: What the receiver of the application sent.
        logged: What was logged about it.
        error: What a refused call says.
        refused: Calls refused afterwards.
        refusal_seconds: How long one of them took, the median.
        requests: Requests that reached the service meanwhile.
    """

    failures: int
    calls: int
    pages: tuple[str, ...]
    logged: tuple[str, ...]
    error: str
    refused: int
    refusal_seconds: float
    requests: int


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(f"{record.levelname} {record.getMessage()}")


@contextmanager
def logged(service: str, lines: list[str]) -> Generator[None]:
    """Keep what is logged about a service, instead of having it printed in the middle of the show."""
    logger, handler = logging.getLogger(f"nexus_connector.{service}"), _Lines(lines)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def suffer(stage: Stage) -> Outage:
    """Let the first region die while an application goes on calling."""
    region = stage.outage.regions[0]
    stage.kill(region)
    pages: list[str] = []
    log: list[str] = []
    errors: list[str] = []
    seconds: list[float] = []
    calls = 0
    with logged(stage.outage.service, log), stage.connector() as connector:
        page_on_call(connector, pages.append)
        while not pages and calls < _PATIENCE:
            calls += 1
            with suppress(ConnectorError):
                read_orders(connector)
            connector.flush()
        failures = stage.asked(region)
        for _ in range(REFUSALS):
            began = perf_counter()
            try:
                read_orders(connector)
            except CircuitOpenError as error:
                seconds.append(perf_counter() - began)
                errors.append(str(error))
            except ConnectorError:  # it was let through: the requests tell
                continue
    return Outage(
        failures=failures,
        calls=calls,
        pages=tuple(pages),
        logged=tuple(log),
        error=errors[0] if errors else "",
        refused=len(seconds),
        refusal_seconds=median(seconds) if seconds else 0.0,
        requests=stage.asked(region) - failures,
    )
