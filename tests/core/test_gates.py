"""Gates, scripted: asked in one round trip, waited for, and settled exactly once whatever happens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from nexus_connector import (
    Again,
    AtomicOp,
    Attempt,
    Call,
    Connector,
    Gate,
    Outcome,
    PluginFailed,
    Refusal,
    Request,
    Response,
    Secret,
    ServiceSetup,
    Verdict,
    Wait,
    hookimpl,
)
from nexus_connector.errors import (
    CircuitOpenError,
    ConnectorError,
    InvalidRequestError,
    LocalRateLimitError,
    NotFoundError,
    NotSentError,
    PluginError,
    TransportError,
)
from nexus_connector.state import Item, MemoryStore, Plain, StoreError
from nexus_connector.testing import Fake, fake
from nexus_connector.testing.emulator import Answer, Reset, VendorEmulator


def count(state: Any, now: int, args: Sequence[Plain]) -> tuple[Plain, int, Plain]:
    """Add one."""
    return (state or 0) + 1, 60_000, (state or 0) + 1


COUNT = AtomicOp(name="test.count", version=1, py=count)

Script = Callable[[Attempt], Any]


class CountingStore(MemoryStore):
    """A memory store that notes each round trip."""

    def __init__(self, *, blocking: bool = False) -> None:
        super().__init__(lambda: 0.0)
        self.blocking = blocking
        self.trips: list[list[str]] = []
        self.threads: list[str] = []

    def run(self, items: Sequence[Item]) -> list[Plain]:
        """Note the keys of one round trip, and who made it."""
        self.trips.append([key[-1] for _, key, _ in items])
        self.threads.append(threading.current_thread().name)
        return super().run(items)


class Scripted(Gate):
    """A gate that notes what it is asked and answers what the test says."""

    def __init__(
        self, name: str, journal: list[tuple[Any, ...]], store: CountingStore | None, **script: Script
    ) -> None:
        self.name = name
        self.store = store
        self.order = 100
        self.journal = journal
        self.script = script

    def _note(self, method: str, attempt: Attempt, *facts: object) -> Any:
        self.journal.append((self.name, method, *facts))
        return self.script[method](attempt) if method in self.script else None

    def check(self, attempt: Attempt) -> Refusal | None:
        answer: Refusal | None = self._note("check", attempt)
        return answer

    def ask(self, attempt: Attempt) -> Item | None:
        self._note("ask", attempt)
        return None if self.store is None else (COUNT, ("test", self.name), ())

    def judge(self, attempt: Attempt, reply: Plain) -> Refusal | Wait | Again | None:
        answer: Refusal | Wait | Again | None = self._note("judge", attempt, reply)
        return answer

    def without_store(self, attempt: Attempt, error: StoreError) -> Refusal | Wait | Again | None:
        if "without_store" not in self.script:
            return super().without_store(attempt, error)
        answer: Refusal | Wait | None = self._note("without_store", attempt)
        return answer

    def settle(self, attempt: Attempt, verdict: Verdict, *, sent: bool) -> Sequence[Item]:
        self._note("settle", attempt, verdict.outcome, sent)
        return () if self.store is None else [(COUNT, ("test", f"{self.name}.settled"), ())]

    def settled(self, attempt: Attempt, replies: Sequence[Plain]) -> None:
        self._note("settled", attempt, *replies)

    def lost(self, attempt: Attempt, items: Sequence[Item], error: StoreError) -> None:
        self._note("lost", attempt, len(items), str(error))


class Brings:
    """What an application gives: gates."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        self._gates = gates

    @hookimpl
    def gates(self, config: ServiceSetup) -> Sequence[Gate]:
        return self._gates


class World:
    """A connector with some gates; plugins that happen to be installed take no part."""

    def __init__(self) -> None:
        self.journal: list[tuple[Any, ...]] = []
        self.gates: list[Gate] = []
        self.store = CountingStore()
        self.hooks: list[object] = [Brings(self.gates)]
        self.service: dict[str, object] = {"base_url": "https://crm.example"}

    def gate(self, name: str, **script: Script) -> Scripted:
        """Add a gate on the world's store."""
        return self.gate_on(self.store, name, **script)

    def gate_on(self, store: CountingStore | None, name: str, **script: Script) -> Scripted:
        """Add a gate on some store."""
        gate = Scripted(name, self.journal, store, **script)
        self.gates.append(gate)
        return gate

    def connect(self) -> Connector:
        """Build the connector."""
        config = {"services": {"crm": self.service}, "plugins": {"only": []}}
        return Connector.from_config(config, plugins=self.hooks)

    def get(self, *answers: object, method: str = "get") -> Response:
        """Make a call; the answers are the vendor's."""
        with self.connect() as connector, fake(connector) as vendors:
            vendors.answer("", *answers or (200,))
            answer: Response = getattr(connector.service("crm"), method)("/x")
            return answer

    def calls_of(self, name: str) -> list[tuple[Any, ...]]:
        """What a gate heard, without its name."""
        return [line[1:] for line in self.journal if line[0] == name]

    def settles(self) -> dict[str, tuple[tuple[Any, ...], ...]]:
        """Per gate: outcome and ``sent`` of each settle."""
        heard = {gate.name: self.calls_of(gate.name) for gate in self.gates}
        return {name: tuple(line[1:] for line in lines if line[0] == "settle") for name, lines in heard.items()}


@pytest.fixture
def world() -> World:
    """An empty world."""
    return World()


def refusal(_: object = None, *, retry_after: float | None = 7.0) -> Refusal:
    """A refusal as a breaker makes it."""
    return Refusal(CircuitOpenError("open.", retry_after=retry_after))


def wait(seconds: float, _: object = None) -> Wait:
    """A wait as a limiter makes it."""
    return Wait(seconds)


def interrupt(error: BaseException, _: object = None) -> Any:
    """Raise something in the middle of a call."""
    raise error


# Asking


def test_all_questions_of_one_store_take_one_round_trip(world: World) -> None:
    """However many gates: one ``store.run`` to ask; each hears its own reply."""
    for name in "abc":
        world.gate(name)
    assert world.get().status == 200
    assert world.store.trips[0] == ["a", "b", "c"]
    assert [trip for trip in world.store.trips[1:] if not trip[0].endswith(".settled")] == []
    assert [world.calls_of(name)[2] for name in "abc"] == [("judge", 1)] * 3


def test_each_store_is_asked_once(world: World) -> None:
    """Gates on two stores cost a trip each; a gate without shared state costs none."""
    other = CountingStore()
    world.gate("a")
    world.gate_on(other, "b")
    world.gate("c")
    world.gate_on(None, "local")
    world.get()
    assert world.store.trips[0] == ["a", "c"]
    assert other.trips[0] == ["b"]
    assert [line[0] for line in world.calls_of("local")] == ["check", "ask", "settle"]


def test_a_gate_that_has_nothing_to_tell_costs_no_trip(world: World) -> None:
    """Without items ``settle`` asks the store nothing, and ``settled`` hears nothing."""

    class Silent(Scripted):
        def settle(self, attempt: Attempt, verdict: Verdict, *, sent: bool) -> Sequence[Item]:
            return ()

    world.gates.append(Silent("a", world.journal, world.store))
    world.get()
    assert world.store.trips == [["a"]]
    assert "settled" not in [line[0] for line in world.calls_of("a")]


def test_items_of_a_gate_without_a_store_go_nowhere(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A gate that has no store has nobody to tell."""

    class Storeless(Scripted):
        def settle(self, attempt: Attempt, verdict: Verdict, *, sent: bool) -> Sequence[Item]:
            return [(COUNT, ("test", "x"), ())]

    world.gates.append(Storeless("a", world.journal, None))
    assert world.get().status == 200
    assert caplog.text == ""


def test_gates_are_asked_in_their_order(world: World) -> None:
    """By ``order``, then by name, whoever brought them."""
    assert Gate.order == 100
    for name, order in (("late", 300), ("b", 100), ("a", 100), ("early", 50)):
        world.gate(name).order = order
    world.get()
    asked = [line[0] for line in world.journal if line[1] == "check"]
    assert asked == ["early", "a", "b", "late"]


def test_an_admitted_attempt_is_checked_asked_judged_settled(world: World) -> None:
    """The life of a gate in one attempt; the reply to its settle items comes back to it."""
    world.gate("a")
    world.get()
    assert world.calls_of("a") == [
        ("check",),
        ("ask",),
        ("judge", 1),
        ("settle", Outcome.DONE, True),
        ("settled", 1),
    ]


def test_the_attempt_says_what_a_gate_needs(world: World) -> None:
    """Number, region, longest wait; from ``ask`` on the request carries the credentials; state is kept per gate."""
    world.service |= {"credentials": {"token": Secret("t0k3n-of-a-test")}, "timeout_seconds": 3}
    seen: list[Attempt] = []

    def look(attempt: Attempt) -> None:
        assert attempt.request.headers["Authorization"] == "Bearer t0k3n-of-a-test"
        attempt.state["a"] = "mine"
        seen.append(attempt)

    world.gate("a", ask=look, settle=seen.append)
    world.get()
    assert seen[0] is seen[1]
    assert (seen[0].number, seen[0].region, seen[0].max_wait_seconds) == (1, "crm.example", 3.0)
    assert seen[0].state == {"a": "mine"}


# Refusing


def test_a_local_refusal_costs_nothing(world: World) -> None:
    """Refused at slot 600: no store, no credentials, no send, nothing to settle; the caller gets the gate's error."""

    class Resolver:
        @hookimpl
        def resolve_credentials(self, call: Call, rejected: object) -> None:
            pytest.fail("credentials were fetched for an attempt that was refused")

    world.hooks.append(Resolver())
    world.gate("a", check=refusal)
    world.gate("b")
    with pytest.raises(CircuitOpenError) as caught:
        world.get()
    assert world.journal == [("a", "check")]
    assert world.store.trips == []
    error = caught.value
    assert (error.outcome, error.retry_after, error.attempts, error.service) == (Outcome.NOT_SENT, 7.0, 0, "crm")
    assert isinstance(error, NotSentError)


def test_a_refusal_by_reply_settles_everybody_unsent(world: World) -> None:
    """Reservations of the gates that would have admitted are given back: ``sent=False``, not_sent."""
    world.gate("a", judge=partial(wait, 2))
    world.gate("b", judge=refusal)
    world.gate("c")
    with pytest.raises(CircuitOpenError):
        world.get()
    assert world.settles() == dict.fromkeys("abc", ((Outcome.NOT_SENT, False),))


def test_a_gate_hears_its_reply_behind_a_refusal(world: World) -> None:
    """A gate can give back only what it knows it was given; the first refusal in order is the one that counts."""
    world.gate("a", judge=partial(refusal, retry_after=3.0))
    world.gate("b", judge=partial(interrupt, InvalidRequestError("no.")))
    world.gate("c", judge=refusal)
    with pytest.raises(CircuitOpenError) as caught:
        world.get()
    assert caught.value.retry_after == 3.0
    assert [line[0] for name in "abc" for line in world.calls_of(name) if line[0] in {"judge", "settle"}] == [
        *("judge", "settle"),
        *("judge", "settle"),
        *("judge", "settle"),
    ]


def test_a_gate_hears_its_reply_behind_a_broken_one(world: World) -> None:
    """What another gate's bug ends is settled by gates that know what they were given."""
    world.gate("a", judge=partial(interrupt, LookupError("a bug")))
    world.gate("b")
    with pytest.raises(PluginError, match="Gate 'a' raised LookupError"):
        world.get()
    assert [line[0] for line in world.calls_of("b")][-3:] == ["judge", "settle", "settled"]


def test_a_refusal_harms_nobodys_health(world: World) -> None:
    """Gates hear ``ignore``: an attempt that was not made says nothing about the vendor."""
    healths: list[str] = []

    class Health(Scripted):
        def settle(self, attempt: Attempt, verdict: Verdict, *, sent: bool) -> Sequence[Item]:
            healths.append(verdict.health)
            return ()

    world.gates.append(Health("a", world.journal, world.store))
    world.gate("b", judge=refusal)
    with pytest.raises(CircuitOpenError):
        world.get()
    assert healths == ["ignore"]


# Waiting


@pytest.mark.parametrize(("first", "second"), [(2, 3.5), (3.5, 2)])
def test_the_longest_wait_counts(world: World, first: float, second: float) -> None:
    """Reservations run at the same time: the attempt waits for the last of them, in virtual time, then is sent."""
    world.gate("a", judge=partial(wait, first))
    world.gate("b", judge=partial(wait, second))
    with world.connect() as connector, fake(connector) as vendors:
        vendors.answer("", 200)
        connector.service("crm").get("/x")
        assert vendors.clock.elapsed_seconds == 3.5
    assert world.settles() == dict.fromkeys("ab", ((Outcome.DONE, True),))


@pytest.mark.parametrize(("seconds", "checks"), [(0.02, 1), (0.021, 2)])
def test_after_a_long_wait_the_checks_are_made_again(world: World, seconds: float, checks: int) -> None:
    """Over 20 ms the world may have changed; below that the first look still counts."""
    world.gate("a", judge=partial(wait, seconds))
    world.gate("b")
    world.get()
    for name in "ab":
        assert [line[0] for line in world.calls_of(name)].count("check") == checks


def test_a_refusal_after_the_wait_settles_everybody_unsent(world: World) -> None:
    """The circuit opened meanwhile: nothing is sent, the slot waited for is given back."""
    looks: list[Refusal | None] = [None, refusal()]
    world.gate("a", judge=partial(wait, 1))
    world.gate("b", check=lambda attempt: looks.pop(0))
    with pytest.raises(CircuitOpenError):
        world.get()
    assert world.settles() == dict.fromkeys("ab", ((Outcome.NOT_SENT, False),))


# Settling, once in each path


@pytest.mark.parametrize(
    ("answer", "error", "outcome"),
    [
        (404, NotFoundError, Outcome.REFUSED),
        (500, ConnectorError, Outcome.UNKNOWN),
        (TimeoutError(), TransportError, Outcome.UNKNOWN),
        (ConnectionRefusedError(), TransportError, Outcome.NOT_SENT),
    ],
    ids=["refused", "unknown", "timeout", "no_connection"],
)
def test_failures_are_settled_once(world: World, answer: object, error: type[Exception], outcome: Outcome) -> None:
    """An attempt that was made is settled with its verdict, ``sent=True``, also when no connection was found."""
    world.gate("a")
    world.gate("b")
    with pytest.raises(error):
        world.get(answer, method="post")
    assert world.settles() == dict.fromkeys("ab", ((outcome, True),))


@pytest.mark.parametrize("error", [InvalidRequestError("no."), LookupError("a bug")], ids=["own", "foreign"])
def test_a_hook_that_raises_settles_unsent(world: World, error: Exception) -> None:
    """A before_attempt hook runs behind the gates: its error gives everything back."""

    class Hooks:
        @hookimpl
        def before_attempt(self, call: Call, request: Request) -> Request | None:
            raise error

    world.hooks.append(Hooks())
    world.gate("a")
    with pytest.raises(InvalidRequestError if isinstance(error, InvalidRequestError) else PluginError):
        world.get()
    assert world.settles() == {"a": ((Outcome.NOT_SENT, False),)}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError()], ids=["ctrl_c", "cancelled"])
def test_a_send_broken_off_is_settled_as_unknown(world: World, error: BaseException) -> None:
    """Cancelled in the middle of a send: sent, nobody knows, nobody is to blame; the cancellation passes untouched."""
    world.gate("a")
    with pytest.raises(type(error)) as caught:
        world.get(partial(interrupt, error))
    assert caught.value is error
    assert world.settles() == {"a": ((Outcome.UNKNOWN, True),)}


def test_cancelling_a_wait_settles_unsent(world: World) -> None:
    """A task cancelled while it waits for its slot gives the slot back, and nothing is sent."""
    waits: list[asyncio.Event] = []

    def ask_to_wait(attempt: Attempt) -> Wait:
        waits[0].set()
        return Wait(4.0)

    async def main(connector: Connector) -> None:
        waiting = asyncio.Event()
        waits.append(waiting)
        task = asyncio.ensure_future(connector.as_async().service("crm").get("/x"))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    world.gate("a", judge=ask_to_wait)
    with world.connect() as connector:
        asyncio.run(main(connector))
    assert world.settles() == {"a": ((Outcome.NOT_SENT, False),)}


def test_every_attempt_is_gated_and_settled(world: World) -> None:
    """A 401 answered with other credentials is a second attempt: asked again, settled again."""

    class Resolver:
        @hookimpl
        def resolve_credentials(self, call: Call, rejected: object) -> Any:
            from nexus_connector import Credentials

            return Credentials.bearer(Secret("second-token-of-a-test" if rejected else "first-token-of-a-test"))

    world.hooks.append(Resolver())
    world.gate("a")
    assert world.get(401, 200).status == 200
    assert world.settles() == {
        "a": (
            (Outcome.REFUSED, True),
            (Outcome.DONE, True),
        )
    }
    assert [line for line in world.calls_of("a") if line[0] == "judge"] == [("judge", 1), ("judge", 2)]


def test_run_is_gated_too(world: World) -> None:
    """A vendor's own SDK passes the same gates."""
    world.gate("a")
    with world.connect() as connector:
        assert connector.run("crm", lambda: 7, operation="Get") == 7
        with pytest.raises(ConnectorError):
            connector.run("crm", partial(interrupt, LookupError()), operation="Get")
    assert world.settles() == {
        "a": (
            (Outcome.DONE, True),
            (Outcome.UNKNOWN, True),
        )
    }


@pytest.fixture
def streaming(world: World) -> Iterator[tuple[Connector, Fake]]:
    """A gated connector whose vendor streams."""
    world.gate("a")
    with world.connect() as connector, fake(connector) as vendors:
        vendors.answer("", (200, b"x" * 100_000))
        yield connector, vendors


def test_a_stream_is_settled_when_it_closes(world: World, streaming: tuple[Connector, Fake]) -> None:
    """Permit and settle end with the body, not with the headers; leaving early is no failure."""
    with streaming[0].service("crm").stream("/x") as stream:
        next(iter(stream))
        assert world.settles() == {"a": ()}
    assert world.settles() == {"a": ((Outcome.DONE, True),)}


def test_a_stream_that_breaks_is_settled_as_unknown(world: World, streaming: tuple[Connector, Fake]) -> None:
    """So is one whose reader raises."""

    def read() -> None:
        with streaming[0].service("crm").stream("/x") as stream:
            next(iter(stream))
            raise LookupError

    with pytest.raises(LookupError):
        read()
    assert world.settles() == {"a": ((Outcome.UNKNOWN, True),)}


def test_a_body_that_breaks_off_is_the_vendors_failure(world: World) -> None:
    """A vendor that does not finish a body has failed; what the reader of a stream does says nothing about it."""
    healths: list[str] = []

    class Health(Scripted):
        def settle(self, attempt: Attempt, verdict: Verdict, *, sent: bool) -> Sequence[Item]:
            healths.append(verdict.health)
            return ()

    world.gates.append(Health("a", world.journal, world.store))
    with VendorEmulator() as vendor:
        vendor.on("/x", Reset(after="body"), Answer(body=b"x" * 100), Answer(body=b"x" * 100))
        world.service["base_url"] = vendor.url
        with world.connect() as connector:
            crm = connector.service("crm")
            with pytest.raises(TransportError), crm.stream("/x") as stream:
                list(stream)
            with pytest.raises(LookupError), crm.stream("/x") as stream:
                raise LookupError
            with crm.stream("/x") as stream:
                list(stream)
    assert healths == ["fail", "ignore", "ok"]


def test_a_stream_answered_with_an_error_is_settled_at_once(world: World) -> None:
    """There is no body to wait for."""
    world.gate("a")
    with world.connect() as connector, fake(connector) as vendors:
        vendors.answer("", 404)
        with pytest.raises(NotFoundError), connector.service("crm").stream("/x"):
            pytest.fail("there is nothing to read")
    assert world.settles() == {"a": ((Outcome.REFUSED, True),)}


def test_on_a_store_that_blocks_settle_is_posted(world: World) -> None:
    """The call does not wait for its write: the background thread runs it, and ``settled`` hears the reply."""
    world.store = CountingStore(blocking=True)
    world.gate("a", judge=refusal)
    with world.connect() as connector:
        with pytest.raises(CircuitOpenError):
            connector.service("crm").get("/x")
        connector.flush()
        with pytest.raises(CircuitOpenError):
            asyncio.run(connector.as_async().service("crm").get("/x"))
        connector.flush()
    assert [line for line in world.calls_of("a") if line[0] == "settled"] == [("settled", 1), ("settled", 2)]
    assert world.store.trips == [["a"], ["a.settled"]] * 2
    own, background, io_thread, again = world.store.threads
    assert (own, background, again) == (threading.current_thread().name, "nexus-background", "nexus-background")
    assert io_thread.startswith("nexus-io")


class Fading(list[Item]):
    """Items that are gone when they are read."""

    def __iter__(self) -> Iterator[Item]:
        return iter(())


def test_what_is_told_is_read_when_it_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something else may have told it by then: the store is not asked for nothing, and the gate hears of no reply."""
    gate = world.gate("a")
    monkeypatch.setattr(gate, "settle", lambda attempt, verdict, *, sent: Fading([(COUNT, ("test", "late"), ())]))
    world.get()
    assert world.store.trips == [["a"]]
    assert world.calls_of("a")[-1] == ("settled",)


# Gates that break their contract


@pytest.mark.parametrize("method", ["check", "ask", "judge"])
def test_an_exception_of_a_gate_is_a_plugin_error(world: World, method: str) -> None:
    """The gate is named, its own exception is the cause, nothing is sent, and who was answered is settled."""
    world.gate("a")
    world.gate("b", **{method: partial(interrupt, LookupError("a bug"))})
    with pytest.raises(PluginError, match="Gate 'b' raised LookupError in a call of crm") as caught:
        world.get()
    assert isinstance(caught.value.__cause__, LookupError)
    assert caught.value.outcome is Outcome.NOT_SENT
    answered = ((Outcome.NOT_SENT, False),) if method == "judge" else ()
    assert world.settles() == {"a": answered, "b": answered}


@pytest.mark.parametrize("method", ["check", "ask", "judge"])
def test_a_connector_error_of_a_gate_is_a_refusal(world: World, method: str) -> None:
    """Raised instead of returned: the caller gets it as it is."""
    world.gate("a", **{method: lambda attempt: interrupt(refusal().error)})
    with pytest.raises(CircuitOpenError) as caught:
        world.get()
    assert (caught.value.outcome, caught.value.service) == (Outcome.NOT_SENT, "crm")


def test_a_store_that_fails_is_a_plugin_error(world: World) -> None:
    """A store whose failure no gate handles does not leak its driver's exception; other stores' gates are settled."""

    class Broken(CountingStore):
        def run(self, items: Sequence[Item]) -> list[Plain]:
            raise ConnectionResetError

    world.gate("a")
    world.gate_on(Broken(), "b")
    with pytest.raises(PluginError, match="Gate 'b' raised ConnectionResetError"):
        world.get()
    assert world.settles() == {"a": ((Outcome.NOT_SENT, False),), "b": ()}


class Gone(CountingStore):
    """A store that does not answer."""

    def run(self, items: Sequence[Item]) -> list[Plain]:
        self.trips.append([key[-1] for _, key, _ in items])
        message = "no answer"
        raise StoreError(message)


def test_without_its_store_a_gate_decides_itself(world: World) -> None:
    """Each gate of the store that failed is asked what to do without it, and settled; the others go their way."""
    answers = {"admits": None, "waits": Wait(2.0)}
    for name, answer in answers.items():
        world.gate_on(Gone(), name, without_store=lambda attempt, answer=answer: answer)
    world.gate("well")
    assert world.get().status == 200
    for name in answers:
        assert [line[0] for line in world.calls_of(name)][:3] == ["check", "ask", "without_store"]
    assert world.settles() == dict.fromkeys(("admits", "waits", "well"), ((Outcome.DONE, True),))


def test_without_its_store_a_gate_may_refuse(world: World) -> None:
    """A refusal without the store is a refusal: nothing is sent, and everybody is settled."""
    world.gate_on(Gone(), "a", without_store=refusal)
    world.gate("b")
    with pytest.raises(CircuitOpenError):
        world.get()
    assert world.settles() == dict.fromkeys("ab", ((Outcome.NOT_SENT, False),))


def test_a_gate_that_cannot_do_without_its_store_is_a_plugin_error(world: World) -> None:
    """By default the failure is raised; what was never asked is not settled."""
    world.gate_on(Gone(), "a")
    world.gate("b")
    with pytest.raises(PluginError, match="Gate 'a' raised StoreError"):
        world.get()
    assert world.settles() == {"a": (), "b": ((Outcome.NOT_SENT, False),)}


@pytest.mark.parametrize("blocking", [True, False])
def test_what_a_missing_store_could_not_be_told_its_gate_hears(
    world: World, caplog: pytest.LogCaptureFixture, *, blocking: bool
) -> None:
    """``lost`` in the place of ``settled``: no error of the call, and nothing in the log, for the store was told of."""
    store = Gone(blocking=blocking)
    world.gate_on(store, "a", without_store=lambda attempt: None)
    assert world.get().status == 200
    assert len(store.trips) == 2
    assert world.calls_of("a")[-1] == ("lost", 1, "no answer")
    assert "settled" not in [line[0] for line in world.calls_of("a")]
    assert caplog.text == ""


def test_a_settle_that_raises_harms_nobody(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The call keeps its result, the other gates are settled, and PluginFailed tells of it."""
    failed: list[PluginFailed] = []
    world.gate("a", settle=partial(interrupt, LookupError("a bug")))
    world.gate("b", settled=partial(interrupt, LookupError("another")))
    world.gate("c")
    with world.connect() as connector, fake(connector) as vendors:
        connector.on(PluginFailed)(failed.append)
        vendors.answer("", 200)
        assert connector.service("crm").get("/x").status == 200
    assert world.settles() == dict.fromkeys("abc", ((Outcome.DONE, True),))
    assert [(event.plugin, event.hook, event.message) for event in failed] == [
        ("a", "settle", "raised LookupError"),
        ("b", "settle", "raised LookupError"),
    ]
    assert "gate a raised in settle" in caplog.text


def test_a_settle_that_raises_does_not_hide_a_cancellation(world: World) -> None:
    """What ended the call passes, whatever its gates do about it."""
    world.gate("a", settle=partial(interrupt, LookupError("a bug")))
    with pytest.raises(KeyboardInterrupt):
        world.get(partial(interrupt, KeyboardInterrupt()))


# Asking again


def in_turn(answers: Sequence[Any]) -> Script:
    """Answers one after the other, the last one for ever."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def test_a_gate_is_asked_again_after_its_time(world: World) -> None:
    """``Again`` asks that gate alone, after so long, and settles it once; the others keep what they were given."""
    world.gate("a")
    world.gate("b", judge=in_turn([Again(0.5), Again(0.25), None]))
    with world.connect() as connector, fake(connector) as vendors:
        vendors.answer("", 200)
        connector.service("crm").get("/x")
        assert vendors.clock.elapsed_seconds == 0.75
    assert world.store.trips[:3] == [["a", "b"], ["b"], ["b"]]
    assert world.settles() == {"a": ((Outcome.DONE, True),), "b": ((Outcome.DONE, True),)}
    assert [line[0] for line in world.calls_of("a")].count("check") == 2


def test_asking_again_takes_no_longer_than_a_wait_may(world: World) -> None:
    """What does not fit is refused, with when to come back; each gate gives back what it was given."""
    world.service |= {"timeout_seconds": 1}
    left: list[float] = []
    world.gate("a", judge=partial(wait, 0.1))
    world.gate("b", judge=lambda _: Again(0.4), ask=lambda attempt: left.append(attempt.max_wait_seconds))
    with pytest.raises(LocalRateLimitError, match=r"b did not admit GET /x of crm within 1 s") as caught:
        world.get()
    assert caught.value.retry_after == 0.4
    assert left == pytest.approx([1.0, 0.6, 0.2])
    assert world.settles() == dict.fromkeys("ab", ((Outcome.NOT_SENT, False),))


def test_a_wait_counts_from_when_it_was_said(world: World) -> None:
    """A reserved moment and a gate that wants to be asked again: the later of the two counts."""
    world.gate("a", judge=partial(wait, 0.3))
    world.gate("b", judge=in_turn([Again(0.1), Wait(1.0)]))
    with world.connect() as connector, fake(connector) as vendors:
        vendors.answer("", 200)
        connector.service("crm").get("/x")
        assert vendors.clock.elapsed_seconds == pytest.approx(1.1)


# Admissions that expire


def holds_for(seconds: float, attempt: Attempt) -> None:
    """Admit a send that begins within so long."""
    attempt.send_by = attempt.call.io.now() + seconds


class Dawdles:
    """A hook that takes its time before each attempt."""

    def __init__(self, *seconds: float) -> None:
        self.seconds = list(seconds)

    @hookimpl
    async def before_attempt(self, call: Call, request: Request) -> None:
        await call.io.sleep(self.seconds.pop(0))


def test_a_late_send_is_not_made_but_asked_for_once_more(world: World) -> None:
    """What admitted it has expired: everybody is settled unsent and asked anew; it counts as no attempt."""
    world.hooks.append(Dawdles(0.06, 0.05))
    world.gate("a", judge=partial(holds_for, 0.05))
    world.gate("b")
    answer = world.get()
    assert answer.call.attempts == 1
    assert world.settles() == dict.fromkeys("ab", ((Outcome.NOT_SENT, False), (Outcome.DONE, True)))
    assert [line[0] for line in world.calls_of("b")].count("check") == 2


def test_a_send_that_is_late_again_is_refused(world: World) -> None:
    """Twice is enough: the caller hears that nothing was sent, and what to look at."""
    world.hooks.append(Dawdles(0.06, 0.06))
    world.gate("a", judge=partial(holds_for, 0.05))
    with pytest.raises(LocalRateLimitError, match=r"limit of crm had admitted GET /x.*max_concurrency") as caught:
        world.get()
    assert (caught.value.outcome, caught.value.attempts) == (Outcome.NOT_SENT, 0)
    assert world.settles() == {"a": ((Outcome.NOT_SENT, False),) * 2}


def test_before_it_is_asked_for_again_the_checks_are_made_again(world: World) -> None:
    """What a gate has learnt meanwhile refuses it before anybody is asked."""
    world.hooks.append(Dawdles(0.06))
    world.gate("a", judge=partial(holds_for, 0.05), check=in_turn([None, refusal()]))
    with pytest.raises(CircuitOpenError):
        world.get()
    assert world.settles() == {"a": ((Outcome.NOT_SENT, False),)}


def test_an_admission_without_an_end_is_never_late(world: World) -> None:
    """Without ``send_by`` a slow hook costs nothing; that of one attempt does not hold for the next."""
    world.hooks.append(Dawdles(60.0))
    world.service |= {"timeout_seconds": 100}
    world.gate("a")
    assert world.get().status == 200


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_send_that_waited_for_a_connection_may_be_late(world: World, face: str) -> None:
    """On real connections it is the moment at which one is free that counts, on both faces."""
    asked: list[float] = []
    held, admitted = threading.Event(), threading.Event()

    def admit(attempt: Attempt) -> None:
        if attempt.call.operation.stream:
            return
        asked.append(attempt.call.io.now())
        holds_for(0.0 if len(asked) == 1 else 60.0, attempt)
        admitted.set()

    def hold(connector: Connector) -> None:
        with connector.service("crm").stream("/stream"):
            held.set()
            admitted.wait(30)

    world.gate("a", judge=admit)
    with VendorEmulator() as vendor:
        vendor.on("/stream", Answer(200))
        vendor.on("/x", Answer(200))
        world.service |= {"base_url": vendor.url, "max_concurrency": 1}
        with world.connect() as connector:
            holder = threading.Thread(target=hold, args=[connector])
            holder.start()
            assert held.wait(30)
            answer = connector.service("crm").get("/x") if face == "sync" else asyncio.run(one_call(connector, "/x"))
            holder.join(30)
    assert (answer.call.attempts, len(asked)) == (1, 2)


async def one_call(connector: Connector, path: str) -> Response:
    """Make a call on the async face of a connector."""
    return await connector.as_async().service("crm").get(path)


# What settle has to go by


@pytest.mark.parametrize(("answer", "status"), [(200, 200), (429, 429), (ConnectionRefusedError(), None)])
def test_settle_finds_the_answer(world: World, answer: object, status: int | None) -> None:
    """``attempt.response`` is the answer of this attempt, good or bad; ``None`` if there was none."""
    seen: list[int | None] = []

    def note(attempt: Attempt) -> None:
        seen.append(attempt.response.status if attempt.response is not None else None)

    world.gate("a", settle=note)
    with suppress(ConnectorError):
        world.get(answer)
    assert seen == [status]
