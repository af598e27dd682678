"""`GateContract`: what every gate promises to the core and to the store, as tests that a plugin's own tests inherit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from random import Random
from typing import ClassVar

import attrs
import pytest

from ..call import Attempt, Call
from ..connector import Connector
from ..errors import CircuitOpenError, ConnectorError, InvalidRequestError, NotSentError, PluginError
from ..gates import Gate, Refusal
from ..hooks import hookimpl
from ..message import Request
from ..setup import ServiceSetup
from ..state import Item, MemoryStore, Plain, Store
from ..verdict import Outcome
from ._gate_watch import CheckedStore, Watched, Watching
from .fake import Fake, fake


def _interrupted(error: BaseException) -> Callable[[Request], object]:
    def answer(request: Request) -> object:
        raise error

    return answer


@attrs.frozen
class _Path:
    """One way through an attempt: what the vendor does, who else takes part, and what ``settle`` must hear."""

    answer: object = 200
    outcome: Outcome = Outcome.DONE
    sent: bool = True
    plugins: tuple[object, ...] = ()
    refused_by: int | None = None


class _RefusesAt(Gate):
    """Another plugin's gate, which refuses when its reply is judged."""

    name = "contract.other"

    def __init__(self, order: int, store: Store) -> None:
        self.order, self.store = order, store

    def ask(self, attempt: Attempt) -> Item | None:
        return Watching.OTHER, ("contract.other", attempt.call.id), ()

    def judge(self, attempt: Attempt, reply: Plain) -> Refusal:
        return Refusal(CircuitOpenError("Another gate is closed.", retry_after=1.0))


class _BadHook:
    def __init__(self, error: Exception) -> None:
        self._error = error

    @hookimpl
    def before_attempt(self, call: Call, request: Request) -> Request | None:
        raise self._error


_PATHS: Mapping[str, _Path] = {
    "done": _Path(),
    "vendor_error": _Path(500, Outcome.UNKNOWN),
    "vendor_refusal": _Path((429, None, {"Retry-After": "3600"}), Outcome.REFUSED),
    "lost": _Path(ConnectionResetError(), Outcome.UNKNOWN),
    "timeout": _Path(TimeoutError(), Outcome.UNKNOWN),
    "no_connection": _Path(ConnectionRefusedError(), Outcome.NOT_SENT),
    "cancelled": _Path(_interrupted(asyncio.CancelledError()), Outcome.UNKNOWN),
    "interrupted": _Path(_interrupted(KeyboardInterrupt()), Outcome.UNKNOWN),
    "hook_refuses": _Path(200, Outcome.NOT_SENT, sent=False, plugins=(_BadHook(InvalidRequestError("no.")),)),
    "hook_breaks": _Path(200, Outcome.NOT_SENT, sent=False, plugins=(_BadHook(LookupError()),)),
    "refused_by_a_gate_before": _Path(200, Outcome.NOT_SENT, sent=False, refused_by=-1_000_000),
    "refused_by_a_gate_behind": _Path(200, Outcome.NOT_SENT, sent=False, refused_by=1_000_000),
}


@attrs.frozen
class GateWorld:
    """A connector with the gate in its chain, in virtual time.

    Attributes:
        connector: The connector; its service is ``vendor``.
        vendors: The fake vendor.
        watching: What the gate was asked and what it said.
    """

    connector: Connector
    vendors: Fake
    watching: Watching

    def call(self, *, on_loop: bool = False) -> BaseException | None:
        """Make a call and return what it raised."""
        try:
            if on_loop:
                asyncio.run(self._send())
            else:
                self.connector.service("vendor").post("/things")
        except BaseException as error:
            return error
        return None

    def calls(self, count: int) -> list[BaseException | None]:
        """Make calls at the same virtual time."""

        async def one() -> BaseException | None:
            try:
                await self._send()
            except ConnectorError as error:
                return error
            return None

        return list(asyncio.run(self.connector.runtime.loop_io.gather([one] * count, count)))

    async def _send(self) -> None:
        await self.connector.as_async().service("vendor").post("/things")


class GateContract:
    """Derive from it, say how the gate is made, and the tests are yours.

    The gate stands in a compiled chain of a real connector, on the memory store, before a fake vendor. Every state and
    reply passes through JSON on the way, as in a shared store.

    Attributes:
        service: Further options of the service.
        prefix: What the names of its operations begin with; empty: its name.
        refuses_within: So many calls at one moment, and again when they have all timed out: of these the gate must
            refuse one. 0: it never refuses.

    >>> class TestMyGate(GateContract):
    ...     refuses_within = 0
    ...     def make_gate(self, store: Store) -> Gate:
    ...         gate = Gate()
    ...         gate.name = "mine"
    ...         return gate
    >>> TestMyGate().test_it_has_a_name_and_an_order()
    """

    service: ClassVar[Mapping[str, object]] = {}
    prefix: ClassVar[str] = ""
    refuses_within: ClassVar[int] = 100

    def make_gate(self, store: Store) -> Gate:
        """Return a fresh gate on a store, as the plugin would for one service."""
        raise NotImplementedError

    def make_store(self, clock: Callable[[], float]) -> Store:
        """Return an empty store that tells time by `clock`; override it to test the gate on another one."""
        return MemoryStore(clock)

    @contextmanager
    def world(self, *plugins: object, seed: int = 0, refused_by: int | None = None) -> Generator[GateWorld]:
        """Put the gate into a chain.

        Args:
            plugins: Further hook objects.
            seed: Seed of jitter and ids.
            refused_by: Order of another gate, on the same store, that refuses.
        """
        watching = Watching()

        def bring(config: ServiceSetup) -> Sequence[Gate]:
            store = CheckedStore(self.make_store(config.now), watching)
            gates: list[Gate] = [Watched(self.make_gate(store), watching)]
            return gates if refused_by is None else [*gates, _RefusesAt(refused_by, store)]

        options = {"base_url": "https://vendor.example", "timeout_seconds": 30, **self.service}
        config: dict[str, object] = {"services": {"vendor": options}, "plugins": {"only": []}}
        connector = Connector.from_config(config, plugins=[_Brings(bring), *plugins], check=False)
        with connector, fake(connector, seed=seed) as vendors:
            vendors.answer("", 200)
            try:
                yield GateWorld(connector, vendors, watching)
            finally:  # first: what the test itself found follows from it
                assert not watching.violations, watching.violations[0]

    def test_it_has_a_name_and_an_order(self) -> None:
        """A name of its own, an order among the gates, and the store it was given or none."""
        store = self.make_store(lambda: 0.0)
        gate = self.make_gate(store)
        assert isinstance(gate, Gate), "a gate derives from nexus_connector.Gate"
        assert gate.name, "a gate has a name: its state in an attempt stands under it"
        assert isinstance(gate.order, int), "order is a whole number"
        assert gate.store is None or gate.store is store, "the gate runs on another store than it was given"

    def test_it_admits_a_first_call(self) -> None:
        """A fresh gate lets a call through; no method does I/O of its own, items are fit for every store."""
        with self.world() as world:
            error = world.call()
            assert error is None, f"a first call was answered with {error!r}"
            prefix = self.prefix or world.watching.name
            foreign = [name for name in world.watching.operations if not name.startswith(prefix)]
            assert not foreign, f"operations whose names do not begin with {prefix!r}: {foreign}"

    @pytest.mark.parametrize("on_loop", [False, True], ids=["sync", "async"])
    @pytest.mark.parametrize("path", _PATHS.values(), ids=_PATHS)
    def test_it_is_settled_once(self, path: _Path, on_loop: bool) -> None:
        """Whatever ends an attempt: ``settle`` once, with its outcome and whether anything was sent."""
        with self.world(*path.plugins, refused_by=path.refused_by) as world:
            world.vendors.answer("", path.answer)
            error = world.call(on_loop=on_loop)
            if not path.plugins:
                assert not isinstance(error, PluginError), str(error)
            settled = world.watching.settled
            assert settled == [(path.outcome, path.sent)], f"settle heard {settled} of {path}"

    @pytest.mark.parametrize("breaks", [False, True], ids=["whole", "broken"])
    def test_a_stream_settles_it_at_its_end(self, breaks: bool) -> None:
        """The attempt of a stream lasts as long as its body."""
        with self.world() as world:
            world.vendors.answer("", (200, b"x" * 100_000))
            with suppress(LookupError), world.connector.service("vendor").stream("/things") as stream:
                next(iter(stream))
                assert world.watching.settled == [], "settled before the stream was closed"
                if breaks:
                    raise LookupError
            outcome = Outcome.UNKNOWN if breaks else Outcome.DONE
            assert world.watching.settled == [(outcome, True)]

    def test_a_refusal_says_when_to_come_back(self) -> None:
        """A refused call gets a NotSentError with ``retry_after``, and nothing is sent for it."""
        with self.world() as world:
            world.vendors.answer("", TimeoutError())
            errors = world.calls(self.refuses_within) + world.calls(self.refuses_within)
            refused = [error for error in errors if isinstance(error, NotSentError)]
            assert bool(refused) is (self.refuses_within > 0), f"refused {len(refused)} of {len(errors)} calls"
            assert len(world.vendors.sent()) + len(refused) == len(errors), "something was sent for a refused call"
            for error in refused:
                assert error.outcome is Outcome.NOT_SENT
                assert error.retry_after is not None, f"{error!r} does not say when to come back"
                assert error.retry_after >= 0
            world.watching.check_balance()

    @pytest.mark.parametrize("seed", range(5))
    def test_one_sequence_has_one_result(self, seed: int) -> None:
        """A random sequence of calls, failures and pauses ends the same each time, and every answer is settled."""
        first, again = self._wander(seed), self._wander(seed)
        assert first == again, "the same sequence ended otherwise: time or chance came from elsewhere"

    def _wander(self, seed: int) -> list[object]:
        chance, seen = Random(seed), list[object]()  # noqa: S311  # a test's dice
        with self.world(seed=seed) as world:
            for _ in range(60):
                world.vendors.answer(
                    "", chance.choice([200, 200, 404, 500, 503, 429, ConnectionResetError(), TimeoutError()])
                )
                errors = world.calls(chance.choice([1, 1, 2, 7]))
                broken = [error for error in errors if isinstance(error, PluginError)]
                assert not broken, str(broken[0])
                told = [(type(error).__name__, getattr(error, "retry_after", None)) for error in errors]
                seen.append((world.vendors.clock.elapsed_seconds, told))
                world.vendors.clock.advance(chance.choice([0.0, 0.0, 0.05, 1.0, 20.0, 600.0]) * chance.random())
            world.watching.check_balance()
            seen.append(world.watching.replies)
        return seen


class _Brings:
    def __init__(self, bring: Callable[[ServiceSetup], Sequence[Gate]]) -> None:
        self._bring = bring

    @hookimpl
    def gates(self, config: ServiceSetup) -> Sequence[Gate]:
        return self._bring(config)
