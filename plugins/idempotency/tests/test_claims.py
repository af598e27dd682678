"""Claims: one effect under one key, whatever comes between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from nexus_connector import CallOptions, Operation, OutcomeUnknown, Request, Response, hookimpl
from nexus_connector.errors import (
    AuthenticationError,
    ConnectorError,
    IdempotencyConflictError,
    IdempotencyInFlightError,
    IdempotencyUnavailableError,
    OutcomeUnknownError,
    PluginError,
    TransportError,
    VendorError,
)
from nexus_connector.verdict import Outcome, Verdict
from nexus_connector_idempotency._ledger import claim_key

Opens = Callable[..., Any]
HEADER = "Idempotency-Key"


def test_a_key_is_claimed_before_anything_is_sent(world: Opens) -> None:
    """When the request is on its way, the claim and its entry are there already: one round trip for both."""
    crm = world()
    seen: list[Any] = []

    def answer(request: Any) -> int:
        seen.append((crm.store.ran.copy(), [each.state for each in crm.pending()]))
        return 201

    crm.vendors.answer("crm", answer)
    crm.post()
    assert seen == [(["index_add", "claim"], ["in_flight"])]
    assert crm.store.ran[-2:] == ["finish", "index_remove"]
    assert (crm.entries, crm.pending()) == (0, [])


@pytest.mark.parametrize("keyed", [False, True])
def test_without_a_key_the_call_id_is_claimed(world: Opens, keyed: bool) -> None:
    """Such a call is listed while it is open; once it is done nobody can repeat it, and nothing is kept."""
    crm = world(**({"idempotency_header": HEADER} if keyed else {}))
    seen: list[Any] = []

    def answer(request: Any) -> int:
        seen.extend(crm.pending())
        return 201

    crm.vendors.answer("crm", answer)
    response = crm.post(None)
    [pending] = seen
    assert (pending.call_id, pending.idempotency_key, pending.operation) == (response.call.id,) * 2 + ("POST /orders",)
    assert crm.states == {}
    assert [crm.post(None).call.replayed, crm.sent] == [False, 2]


def test_calls_that_change_nothing_are_left_alone(world: Opens) -> None:
    """GET and PUT without a key never ask the store."""
    crm = world()
    service = crm.connector.service("crm")
    service.get("/orders")
    service.put("/orders/7", json={"sku": "a"})
    assert crm.store.ran == []


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_any_call_with_a_key_is_done_once(world: Opens, method: str) -> None:
    """Also one that could be repeated."""
    crm = world()
    call = getattr(crm.connector.service("crm"), method)
    assert [call("/orders/7", idempotency_key="k").call.replayed for _ in range(2)] == [False, True]
    assert crm.sent == 1


@pytest.mark.parametrize(
    "change",
    [
        {"json": {"sku": "b"}},
        {"query": {"dry": "1"}},
        {"json": None, "form": {"sku": "a"}},
        {"json": None, "content": b"x"},
    ],
    ids=str,
)
def test_another_payload_is_a_conflict(world: Opens, change: dict[str, Any]) -> None:
    """Same key, other body or query: IdempotencyConflictError, and nothing is sent, also while the first is unknown."""
    crm = world()
    crm.vendors.answer("crm", 201, TimeoutError())
    options = {"json": {"sku": "a"}, **change}
    service = crm.connector.service("crm")
    crm.post("k1")
    with pytest.raises(OutcomeUnknownError):
        service.post("/orders", idempotency_key="k2", json={"sku": "a"})
    for key in ("k1", "k2"):
        with pytest.raises(IdempotencyConflictError, match="other arguments") as caught:
            service.post("/orders", idempotency_key=key, **options)
        assert (caught.value.outcome, caught.value.retry_safe) == (Outcome.NOT_SENT, False)
    assert crm.sent == 2


def test_another_path_is_a_conflict(world: Opens) -> None:
    """The values in a path are arguments like any other."""
    crm = world()
    service = crm.connector.service("crm")
    service.post("/orders/{id}/pay", path_values={"id": 1}, idempotency_key="k")
    with pytest.raises(IdempotencyConflictError):
        service.post("/orders/{id}/pay", path_values={"id": 2}, idempotency_key="k")
    assert crm.sent == 1


def test_keys_belong_to_tenant_service_and_operation(world: Opens) -> None:
    """The same key of another tenant, service or operation is another key."""
    crm = world()
    first = [crm.post("k", tenant_id=tenant).call.replayed for tenant in (None, "a", "b", "None", "=a")]
    assert first == [False] * 5
    assert crm.connector.service("crm").post("/refunds", idempotency_key="k").call.replayed is False
    assert crm.post("k", tenant_id="a").call.replayed is True
    assert crm.sent == 6


def test_no_tenant_is_no_tenant_without_a_name() -> None:
    """A resolve_tenant hook may find an empty name: not the claims of those who have none."""
    assert claim_key("crm", None, "POST /x", "k") != claim_key("crm", "", "POST /x", "k")


class Stamps:
    """Changes every request, each time otherwise."""

    def __init__(self) -> None:
        self.count = 0

    @hookimpl
    def before_request(self, call: Any, request: Any) -> Any:
        self.count += 1
        return request.with_headers({"X-Stamp": str(self.count)}).with_json({"n": self.count})


def test_what_hooks_change_does_not_count(world: Opens) -> None:
    """The fingerprint is that of the caller's arguments: a hook that stamps requests makes no conflict."""
    crm = world(hooks=[Stamps()])
    assert [crm.post().call.replayed for _ in range(2)] == [False, True]
    assert crm.post("k2", headers={"X-Trace": "1"}).call.replayed is False
    assert crm.post("k2", headers={"X-Trace": "2"}).call.replayed is True


@pytest.mark.parametrize(
    "answer", [400, 402, 422, 429, ConnectionRefusedError(), (503, None, {"Retry-After": "1"})], ids=str
)
def test_what_did_not_happen_frees_the_key(world: Opens, answer: object) -> None:
    """Refused or not sent: nothing stays, and the key may be used again, for other arguments too."""
    crm = world()
    crm.vendors.answer("crm", answer, 201)
    crm.failed(ConnectorError)
    assert crm.states == {}
    assert crm.post(json={"sku": "b"}).call.replayed is False


def test_a_repeat_that_may_be_sent_again_learnt_nothing(world: Opens) -> None:
    """Whatever its status: a refusal that is welcome again later says nothing about the first call."""

    class Judges:
        @hookimpl
        def classify(self, call: Any, verdict: Any, response: Any) -> Any:
            if response is None:
                return None
            return Verdict(outcome=Outcome.REFUSED, health="ok", retry=True, error=VendorError("busy.", status=400))

    crm = world(hooks=[Judges()], idempotency_header=HEADER)
    crm.vendors.answer("crm", ConnectionResetError(), 400)
    crm.failed(OutcomeUnknownError)
    crm.failed(OutcomeUnknownError)
    assert len(crm.pending()) == 1


@pytest.mark.parametrize("answer", [500, TimeoutError(), ConnectionResetError()], ids=repr)
def test_an_unknown_outcome_is_not_sent_again(world: Opens, answer: object) -> None:
    """Where the vendor knows no keys a repeat is refused, sends nothing, and is told where the outcome is settled."""
    crm = world()
    crm.vendors.answer("crm", answer, 201)
    first = crm.failed(OutcomeUnknownError)
    for _ in range(2):
        error = crm.failed(IdempotencyInFlightError)
        assert isinstance(error, OutcomeUnknownError)
        assert (error.outcome, error.retry_safe) == (Outcome.UNKNOWN, False)
        assert f"nexus outcomes --settle {first.call_id}" in str(error)
    assert crm.sent == 1
    [pending] = crm.pending()
    assert (pending.call_id, pending.state, pending.idempotency_key) == (first.call_id, "unknown", "k1")
    assert "crm" in pending.message
    assert len(crm.told(OutcomeUnknown)) == 3


def test_an_unknown_outcome_is_sent_again_under_a_key_that_the_vendor_knows(world: Opens) -> None:
    """One effect, because it is the same key; the answer is then kept, and nothing is open any more."""
    crm = world(idempotency_header=HEADER)
    crm.vendors.answer("crm", TimeoutError(), 500, {"id": "7"})
    crm.failed(OutcomeUnknownError)
    crm.failed(OutcomeUnknownError)
    assert len(crm.pending()) == 1
    assert crm.post().call.replayed is False
    assert crm.post().call.replayed is True
    assert [each.request.headers[HEADER] for each in crm.vendors.sent()] == ["k1"] * 3
    assert (crm.pending(), crm.entries) == ([], 0)


def test_a_vendor_forgets_keys(world: Opens) -> None:
    """From ``vendor_keep_seconds`` after the first claim on it is not sent again, however often it was meanwhile."""
    crm = world({"vendor_keep_seconds": 60}, idempotency_header=HEADER)
    crm.vendors.answer("crm", ConnectionResetError())
    crm.failed(OutcomeUnknownError)
    crm.vendors.clock.advance(59.9)
    crm.failed(OutcomeUnknownError)
    crm.vendors.clock.advance(0.1)
    crm.failed(IdempotencyInFlightError)
    assert crm.sent == 2


def test_a_key_that_was_never_sent_is_not_resent(world: Opens, other: Any) -> None:
    """The first call was made when the vendor's header was not configured: that vendor has not seen the key."""
    crm = world(idempotency_header=HEADER)
    other(crm).claim("FIRST", "k1", fingerprint=_fingerprint(crm), seconds=1, keyed=False)
    crm.vendors.clock.advance(1)
    crm.failed(IdempotencyInFlightError)
    assert crm.sent == 0


def test_a_put_of_unknown_outcome_may_be_sent_again(world: Opens) -> None:
    """It can only do the same once more; until then it is listed."""
    crm = world()
    crm.vendors.answer("crm", ConnectionResetError(), 200)
    service = crm.connector.service("crm")
    with pytest.raises(OutcomeUnknownError):
        service.put("/orders/7", idempotency_key="k", json={})
    assert [each.operation for each in crm.pending()] == ["PUT /orders/7"]
    service.put("/orders/7", idempotency_key="k", json={})
    assert (crm.sent, crm.pending()) == (2, [])


def test_a_get_of_unknown_outcome_is_nothing_to_look_after(world: Opens) -> None:
    """It changed nothing: its key is free, and it is not listed."""
    crm = world()
    crm.vendors.answer("crm", 500, 200)
    service = crm.connector.service("crm")
    with pytest.raises(VendorError):
        service.get("/orders", idempotency_key="k")
    assert crm.states == {}


@pytest.mark.parametrize(
    "answer", [401, 408, 409, 423, 425, 429, 503, ConnectionRefusedError(), (503, None, {"Retry-After": "1"})], ids=str
)
def test_a_repeat_that_learns_nothing_leaves_it_unknown(world: Opens, answer: object) -> None:
    """Not let in, put off or not sent: what the first call may have done stays said, and stays listed."""
    crm = world(idempotency_header=HEADER)
    crm.vendors.answer("crm", ConnectionResetError(), answer)
    crm.failed(OutcomeUnknownError)
    error = crm.failed(OutcomeUnknownError)
    assert error.outcome is Outcome.UNKNOWN
    assert error.retry_safe is True
    [pending] = crm.pending()
    assert pending.call_id == error.call_id


def test_a_repeat_that_is_refused_for_good_frees_the_key(world: Opens) -> None:
    """A vendor that knows the key would have answered what it did: a plain no means that nothing was done."""
    crm = world(idempotency_header=HEADER)
    crm.vendors.answer("crm", ConnectionResetError(), 422)
    crm.failed(OutcomeUnknownError)
    assert crm.failed(VendorError).outcome is Outcome.REFUSED
    assert crm.pending() == []
    assert crm.states == {}


def _fingerprint(crm: Any) -> str:
    """The fingerprint of ``POST /orders`` with ``{"sku": "a"}``."""
    crm.post("probe")
    [state] = [state for key, state in crm.states.items() if key[-1] == "probe"]
    crm.store._states.clear()
    crm.vendors._io.calls.clear()
    found: str = state[5]
    return found


def test_another_process_is_waited_for(world: Opens, other: Any) -> None:
    """A second caller gets the first one's answer as soon as it is there, and sends nothing."""
    crm = world()
    print_ = _fingerprint(crm)
    process = other(crm)
    held = process.claim("FIRST", "k1", fingerprint=print_, seconds=30)
    kept = ["answer", 201, [["ETag", "e"]], "eA==", None]
    looks = [lambda: None] * 6
    crm.store.before = [*looks, lambda: process.finish("FIRST", "k1", held.generation, "done", kept)]
    started = crm.io.now()
    response = crm.post(timeout_seconds=20)
    assert (response.status, response.body, response.call.replayed, crm.sent) == (201, b"x", True, 0)
    assert 0.03 < crm.io.now() - started < 1
    assert crm.store.ran.count("look") < 10


def test_waiting_ends_by_the_deadline(world: Opens, other: Any) -> None:
    """In flight, seldom asked for, and told when its lease ends; nothing was sent."""
    crm = world()
    other(crm).claim("FIRST", "k1", fingerprint=_fingerprint(crm), seconds=30)
    crm.store.ran.clear()
    started = crm.io.now()
    error = crm.failed(IdempotencyInFlightError)
    assert crm.io.now() - started == pytest.approx(5)
    assert isinstance(error, OutcomeUnknownError)
    assert (error.retry_safe, error.outcome) == (True, Outcome.UNKNOWN)
    assert error.retry_after == pytest.approx(25, abs=0.01)
    assert "in call FIRST" in str(error)
    assert 12 < crm.store.ran.count("look") < 40
    assert crm.sent == 0


def test_looks_are_spread(world: Opens, other: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wait grows by 1.6 up to half a second, and chance takes up to half of it: those who wait do not march."""
    crm = world()
    other(crm).claim("FIRST", "k1", fingerprint=_fingerprint(crm), seconds=30)
    waits: list[float] = []
    sleep = crm.io.sleep

    async def noted(seconds: float) -> None:
        waits.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr(crm.io, "sleep", noted)
    crm.failed(IdempotencyInFlightError)
    shares = [wait / min(0.01 * 1.6**step, 0.5) for step, wait in enumerate(waits[:-1])]
    assert 0.5 <= min(shares) < 0.7
    assert 0.8 < max(shares) <= 1.0


@pytest.mark.parametrize("kept", ["free", "done", "down"])
def test_waiting_in_this_process_ends_by_the_deadline(world: Opens, kept: str) -> None:
    """Another call of this process holds the lock until then: the store says what came of it, and nothing is sent."""
    crm = world()

    def lock(key: object, deadline: float) -> Any:
        raise TimeoutError

    if kept == "done":
        crm.post()
    sent = crm.sent
    crm.io.lock = lock
    if kept == "down":
        crm.store.fails = "before"
        crm.failed(IdempotencyUnavailableError)
    elif kept == "done":
        assert crm.post().call.replayed is True
    else:
        assert "again now" in str(crm.failed(IdempotencyInFlightError))
    assert crm.sent == sent


def test_a_get_in_flight_is_no_unknown_outcome(world: Opens, other: Any) -> None:
    """Nothing can have happened: the error of one that waited in vain is not an OutcomeUnknownError."""
    crm = world()
    service = crm.connector.service("crm")

    def slow(request: Any) -> int:
        crm.io.lock = lambda key, deadline: _NoLock()
        with pytest.raises(IdempotencyInFlightError) as caught:
            service.get("/orders", idempotency_key="k", timeout_seconds=1)
        assert not isinstance(caught.value, OutcomeUnknownError)
        return 200

    crm.vendors.answer("crm", slow)
    service.get("/orders", idempotency_key="k")
    assert crm.sent == 1


def test_the_id_of_a_call_is_its_key(world: Opens) -> None:
    """A call without a key that became unknown is found again under its id, which its error names."""
    crm = world(idempotency_header=HEADER)
    crm.vendors.answer("crm", ConnectionResetError(), {"id": "7"})
    error = crm.failed(OutcomeUnknownError, None)
    assert crm.post(error.call_id).json() == {"id": "7"}
    assert [each.request.headers[HEADER] for each in crm.vendors.sent()] == [error.call_id] * 2
    assert crm.pending() == []


def test_a_claim_given_back_goes_to_who_waits(world: Opens, other: Any) -> None:
    """The first call was refused: the one that waits is sent."""
    crm = world()
    process = other(crm)
    held = process.claim("FIRST", "k1", fingerprint=_fingerprint(crm))
    crm.store.before = [lambda: None, lambda: None, lambda: process.finish("FIRST", "k1", held.generation, "released")]
    turns: list[int] = []

    def answer(request: Any) -> int:
        turns.extend(entry[2] for key, state in crm.states.items() if key[2] == "open" for entry in state)
        return 201

    crm.vendors.answer("crm", answer)
    assert crm.post().call.replayed is False
    assert crm.sent == 1
    assert turns == [2], "its second entry can be told from its first"


@pytest.mark.parametrize("keyed", [False, True])
def test_a_lost_process(world: Opens, other: Any, keyed: bool) -> None:
    """When its lease is over, its key is sent again where the vendor knows it; elsewhere it is unknown, and listed."""
    crm = world(**({"idempotency_header": HEADER} if keyed else {}))
    other(crm).claim("FIRST", "k1", fingerprint=_fingerprint(crm), seconds=6, keyed=keyed)
    crm.vendors.clock.advance(5.999)
    assert [each.state for each in crm.pending()] == ["in_flight"]
    if keyed:
        assert crm.post().call.replayed is False
    else:
        assert "its process ended" in str(crm.failed(IdempotencyInFlightError))
        [pending] = crm.pending()
        assert (pending.state, pending.call_id, "process ended" in pending.message) == ("unknown", "FIRST", True)
    assert crm.sent == int(keyed)


def test_a_late_first_call_changes_nothing(world: Opens, other: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It went on after its lease and was taken over: the newer call's answer stays, and a warning says so."""
    crm = world(idempotency_header=HEADER, timeout_seconds=3600)
    service = crm.connector.service("crm")

    def slow(request: Any) -> object:
        crm.vendors.clock.advance(3602)
        crm.vendors.answer("crm", {"id": "new"})
        assert crm.post().json() == {"id": "new"}
        return {"id": "old"}

    # The first call holds this process's lock, as a call of another process would not.
    crm.io.lock = lambda key, deadline: _NoLock()
    crm.vendors.answer("crm", slow)
    assert service.post("/orders", idempotency_key="k1", json={"sku": "a"}).json() == {"id": "old"}
    assert crm.post().json() == {"id": "new"}
    assert "was taken over or settled" in caplog.text
    assert crm.sent == 2


class _NoLock:
    async def __aenter__(self) -> None:
        """Hold nothing."""

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held."""


class Raises:
    """Raises in one of two places."""

    def __init__(self, before: BaseException | None = None, after: Exception | None = None) -> None:
        self._before, self._after = before, after

    @hookimpl
    def before_request(self, call: Any, request: Any) -> None:
        if self._before is not None:
            raise self._before

    @hookimpl
    def classify(self, call: Any, verdict: Any, response: Any) -> None:
        if self._after is not None:
            raise self._after


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError()], ids=repr)
def test_cancelled_before_it_was_sent(world: Opens, error: BaseException) -> None:
    """Nothing was sent: the key is free."""
    crm = world(hooks=[Raises(before=error)])
    with pytest.raises(type(error)):
        crm.post()
    assert crm.states == {}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError()], ids=repr)
def test_cancelled_while_it_was_under_way(world: Opens, error: BaseException) -> None:
    """Something may have been sent: unknown, listed, with the reason."""
    crm = world()

    def cancelled(request: Any) -> object:
        raise error

    crm.vendors.answer("crm", cancelled)
    with pytest.raises(type(error)):
        crm.post()
    [pending] = crm.pending()
    assert (pending.state, pending.message) == ("unknown", f"it ended with {type(error).__name__}")


def test_cancelled_while_it_took_over(world: Opens) -> None:
    """It was not sent, but the call before it may have been: that stays unknown."""
    raises = Raises()
    crm = world(hooks=[raises], idempotency_header=HEADER)
    crm.vendors.answer("crm", ConnectionResetError())
    crm.failed(OutcomeUnknownError)
    raises._before = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        crm.post()
    assert [each.state for each in crm.pending()] == ["unknown"]


@pytest.mark.parametrize(
    ("hook", "state"), [(Raises(before=ValueError()), []), (Raises(after=ValueError()), ["unknown"])]
)
def test_a_hook_that_fails(world: Opens, hook: Raises, state: list[str]) -> None:
    """Before the send it frees the key; after it nobody read what the vendor said."""
    crm = world(hooks=[hook])
    crm.failed(PluginError)
    assert [each.state for each in crm.pending()] == state


def test_a_stage_that_returns_nothing_is_an_unknown_outcome(world: Opens) -> None:
    """Done, says the verdict, but there is no answer to keep: nobody may rely on it."""
    from nexus_connector import Result, Stage

    class Empty(Stage):
        name, slot = "empty", 300

        async def __call__(self, call: Any, request: Any, next: Any) -> Result:
            return Result(Verdict(outcome=Outcome.DONE, health="ok"))

    class Brings:
        @hookimpl
        def stages(self, config: Any) -> list[Stage]:
            return [Empty()]

    crm = world(hooks=[Brings()])
    crm.failed(PluginError)
    assert [each.message for each in crm.pending()] == ["it ended without an answer"]


def test_a_cancelled_finish_is_written_all_the_same(world: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled while the answer is being stored: the background stores it."""
    crm = world()
    run = crm.io.store_run
    ran: list[int] = []

    async def cancelled(store: Any, items: Any) -> Any:
        ran.append(len(items))
        if len(ran) == 2:
            raise asyncio.CancelledError
        return await run(store, items)

    monkeypatch.setattr(crm.io, "store_run", cancelled)
    with pytest.raises(asyncio.CancelledError):
        crm.post()
    assert crm.post().call.replayed is True
    assert crm.sent == 1


def test_a_cancelled_claim_is_given_back(world: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled when the store had just written it: the background frees the key."""
    crm = world()
    run = crm.io.store_run

    async def cancelled(store: Any, items: Any) -> Any:
        await run(store, items)
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(crm.io, "store_run", cancelled)
        with pytest.raises(asyncio.CancelledError):
            crm.post()
    assert [key for key in crm.states if key[2] == "claim"] == []
    assert crm.post().call.replayed is False


def test_a_failing_retry_counts_as_one_call(world: Opens) -> None:
    """What the stages behind it repeat is one claim: the verdict of the whole decides."""
    from nexus_connector import Stage

    class Twice(Stage):
        name, slot = "twice", 400

        async def __call__(self, call: Any, request: Any, next: Any) -> Any:
            await next(call, request)
            return await next(call, request)

    class Brings:
        @hookimpl
        def stages(self, config: Any) -> list[Stage]:
            return [Twice()]

    crm = world(hooks=[Brings()])
    crm.vendors.answer("crm", ConnectionRefusedError(), {"id": "7"})
    crm.post()
    assert crm.post().call.replayed is True
    assert crm.store.ran.count("claim") == 2


def test_the_operation_value_stands_for_the_request(world: Opens) -> None:
    """An adapter may write other bytes each time, as the id of the call: the domain value is what the caller said."""
    crm = world()

    def call(value: object, body: bytes) -> Response:
        made = Operation(
            name="email.send", request=Request(method="POST", body=body), parse=lambda answer: answer, value=value
        )
        found: Response = crm.connector.perform("crm", lambda: made, CallOptions(idempotency_key="k"))
        return found

    assert [call({"to": "a"}, b"1").call.replayed, call({"to": "a"}, b"2").call.replayed] == [False, True]
    with pytest.raises(IdempotencyConflictError):
        call({"to": "b"}, b"1")


def test_unauthorised_frees_the_key(world: Opens) -> None:
    """A first call that was not let in did nothing."""
    crm = world()
    crm.vendors.answer("crm", 401, 201)
    crm.failed(AuthenticationError)
    assert crm.post().call.replayed is False


def test_a_lost_connection_is_told_as_itself(world: Opens) -> None:
    """The stage changes nothing about the error of a first call."""
    crm = world()
    crm.vendors.answer("crm", ConnectionResetError())
    error = crm.failed(TransportError)
    assert "did not answer" in str(error)
    assert error.attempts == 1
