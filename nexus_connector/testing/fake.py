"""Fakes: a connector whose vendors answer what a test says, in virtual time.

Importing this imports nothing of the connector: pytest loads the kit in every run, for its plugin.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ..async_connector import AsyncConnector
    from ..connector import Connector
    from ._fake_io import FakeIo, Sent

Answerable: TypeAlias = object
"""A status, a value for a 200 with JSON, ``(status, value)``, ``(status, value, headers)``, a `Response`, an OSError to
raise (``TimeoutError()``, ``ConnectionRefusedError()``), or a function of the request that returns one of these."""


class Clock:
    """The virtual clock of a fake.

    Attributes:
        elapsed_seconds: Virtual seconds since the fake began.
    """

    def __init__(self, io: FakeIo) -> None:
        self._io = io

    @property
    def elapsed_seconds(self) -> float:
        """Virtual seconds since the fake began."""
        return self._io.elapsed_seconds

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Args:
            seconds: How much.
        """
        self._io.advance(seconds)


class Fake:
    """The vendors of a connector, played by a test.

    Attributes:
        clock: Virtual time; waits take no real time.
    """

    def __init__(self, io: FakeIo) -> None:
        self._io = io
        self.clock = Clock(io)

    def answer(self, target: str, /, *answers: Answerable) -> None:
        """Say what is answered.

        Args:
            target: An operation (``payments.charge``, ``GET /orders/{id}``), a domain (``email``), a service (``erp``),
                both (``erp GET /orders/{id}``), or ``""`` for everything. The most exact one counts.
            answers: Answers in order; the last one repeats.

        >>> from nexus_connector import Connector
        >>> with Connector.from_config({"services": {"erp": {"base_url": "https://erp.example"}}}) as connector:
        ...     with fake(connector) as vendors:
        ...         vendors.answer("GET /orders/{id}", {"id": "7"})
        ...         connector.service("erp").get("/orders/{id}", path_values={"id": 7}, into=dict)
        {'id': '7'}
        """
        self._io.answer(target, answers)

    def sent(self, target: str = "") -> list[Sent]:
        """Return the calls that reached a vendor, in order.

        Args:
            target: Only those it names; as for `answer`.
        """
        return self._io.sent(target)


@contextmanager
def fake(connector: Connector | AsyncConnector, *, seed: int = 0) -> Generator[Fake]:
    """Play the vendors of a connector, in virtual time: waits take none, jitter is the same in every run.

    Hooks, stages, gates and adapters are the real ones; missing secrets are made up; records and events are delivered
    at once.

    Args:
        connector: Either face; the other one of its runtime is faked too.
        seed: Seed of the random sequence.

    >>> from nexus_connector import Connector
    >>> with Connector.from_config({"services": {"erp": {"base_url": "https://erp.example"}}}) as connector:
    ...     with fake(connector) as vendors:
    ...         vendors.answer("erp", {"ok": True})
    ...         connector.service("erp").get("/status").json()
    {'ok': True}
    """
    from ..background import InlineOutbox
    from ..runtime import Parts
    from ._fake_io import FakeIo, lenient

    runtime = connector.runtime
    io = FakeIo(seed)
    process = runtime.new_process(outbox=InlineOutbox(runtime.delivery), clock=io.now)
    before = runtime.exchange(Parts(io, io, process, {}, lenient))
    try:
        yield Fake(io)
    finally:
        runtime.exchange(before)
        process.close(0)
