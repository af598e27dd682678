"""The shipped suites: good plugins pass them in five lines, and each rule finds the plugin that breaks it."""

from __future__ import annotations

import asyncio
import copy
import itertools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import attrs
import pytest

from nexus_connector import (
    AddressCheck,
    Again,
    AtomicOp,
    Attempt,
    Bulk,
    Call,
    CallOptions,
    Classification,
    EmailMessage,
    EmailReceipt,
    Gate,
    ItemOutcome,
    Next,
    Operation,
    Outcome,
    Refusal,
    Request,
    Response,
    Result,
    ServiceAdapter,
    Stage,
    Store,
    Vendor,
    Verdict,
    Wait,
)
from nexus_connector.errors import CircuitOpenError, RateLimitExceededError, VendorError
from nexus_connector.errors import LocalRateLimitError as TooManyError
from nexus_connector.testing import AdapterContract, Fault, GateContract, Sample, StageContract

pytest_plugins = ["pytester"]


Around = Callable[[Call, Request, Next], Any]


def run(suite: type, test: str, *arguments: Any) -> None:
    """Run one test of a suite, with its parameters."""
    getattr(suite(), test)(*arguments)


# Stages


class Retry(Stage):
    """A small but honest retry."""

    name, slot = "again", 400

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        result = await next(call, request)
        while result.verdict.retry and call.attempts < 4:
            wait = max(call.io.random.random(), result.verdict.retry_after or 0.0)
            if call.io.now() + wait >= call.deadline:
                break
            call.state["again.waited"] = wait
            await call.io.sleep(wait)
            result = await next(call, request)
        return result


class TestRetry(StageContract):
    def make_stage(self) -> Stage:
        return Retry()


class TestPlainStage(StageContract):
    service: ClassVar[Mapping[str, object]] = {"timeout_seconds": 5}

    def make_stage(self) -> Stage:
        stage = Stage()
        stage.name, stage.slot = "plain", 949
        return stage


def stage_suite(
    around: Callable[[Call, Request, Next], Any], name: str = "bad", slot: int = 450
) -> type[StageContract]:
    """The suite of a stage made from one function."""

    class Bad(Stage):
        async def __call__(self, call: Call, request: Request, next: Next) -> Result:
            result: Result = await around(call, request, next)
            return result

    class Suite(StageContract):
        def make_stage(self) -> Stage:
            stage = Bad()
            stage.name, stage.slot = name, slot
            return stage

    return Suite


async def passes(call: Call, request: Request, next: Next) -> Result:
    return await next(call, request)


async def returns_nothing(call: Call, request: Request, next: Next) -> Any:
    await next(call, request)


async def never_asks(call: Call, request: Request, next: Next) -> Any:
    return Result(Verdict(outcome=Outcome.DONE, health="ok"), Response(status=200))


async def hands_on_nothing(call: Call, request: Request, next: Next) -> Any:
    nothing: Any = None
    return await next(call, nothing)


async def raises_failures(call: Call, request: Request, next: Next) -> Result:
    result = await next(call, request)
    if result.verdict.error is not None:
        raise result.verdict.error
    return result


async def loses_errors(call: Call, request: Request, next: Next) -> Result:
    result = await next(call, request)
    return attrs.evolve(result, verdict=attrs.evolve(result.verdict, error=None))


async def swallows_everything(call: Call, request: Request, next: Next) -> Result:
    try:
        return await next(call, request)
    except BaseException:
        return await next(call, request)


async def wraps_errors(call: Call, request: Request, next: Next) -> Result:
    try:
        return await next(call, request)
    except BaseException as error:
        raise LookupError from error


async def waits_on_the_loop(call: Call, request: Request, next: Next) -> Result:
    await asyncio.sleep(0)
    return await next(call, request)


async def blocks(call: Call, request: Request, next: Next) -> Result:
    time.sleep(0.001)
    return await next(call, request)


async def throws_its_own_dice(call: Call, request: Request, next: Next) -> Result:
    await call.io.sleep(random.random())
    return await next(call, request)


async def litters(call: Call, request: Request, next: Next) -> Result:
    call.state["started"] = call.io.now()
    return await next(call, request)


async def never_gives_up(call: Call, request: Request, next: Next) -> Result:
    result = await next(call, request)
    while result.verdict.retry:
        await call.io.sleep(max(1.0, result.verdict.retry_after or 0.0))
        result = await next(call, request)
    return result


async def overstays(call: Call, request: Request, next: Next) -> Result:
    result = await next(call, request)
    while result.verdict.retry and call.attempts < 100:
        await call.io.sleep(1.0)
        result = await next(call, request)
    return result


async def hammers(call: Call, request: Request, next: Next) -> Result:
    result = await next(call, request)
    while result.verdict.retry and call.io.now() < call.deadline:
        result = await next(call, request)
    return result


async def repeats_whatever_happened(call: Call, request: Request, next: Next) -> Result:
    result = await next(call, request)
    return await next(call, request) if result.verdict.error is not None else result


async def changes_keys(call: Call, request: Request, next: Next) -> Result:
    result = await next(call, request)
    if result.verdict.retry:
        result = await next(call, request.with_headers({"Idempotency-Key": f"{call.id}-again"}))
    return result


LOST = ConnectionResetError()


@pytest.mark.parametrize(
    ("around", "test", "arguments", "message"),
    [
        (returns_nothing, "test_it_hands_on_requests", ["GET"], "not a Result"),
        (never_asks, "test_it_hands_on_requests", ["GET"], "never called next"),
        (hands_on_nothing, "test_it_hands_on_requests", ["POST"], "next takes the call and a Request"),
        (raises_failures, "test_failures_are_returned", [404], "instead of returning a result"),
        (loses_errors, "test_failures_are_returned", [404], "the verdict lost its error"),
        (swallows_everything, "test_what_is_no_failure_passes", [KeyboardInterrupt()], "went on after"),
        (wraps_errors, "test_what_is_no_failure_passes", [asyncio.CancelledError()], "came out as"),
        (waits_on_the_loop, "test_both_faces_have_one_trace", [(200,), "GET"], "call.io"),
        (blocks, "test_both_faces_have_one_trace", [(200,), "GET"], "time.sleep"),
        (throws_its_own_dice, "test_both_faces_have_one_trace", [(200,), "GET"], "chance came from elsewhere"),
        (litters, "test_it_keeps_its_state_under_its_name", [(200,)], "do not begin with 'bad'"),
        (overstays, "test_it_ends_by_the_deadline", [1.0, None], "s after its deadline"),
        (never_gives_up, "test_it_ends_by_the_deadline", [0.0, 3600.0], "goes on for ever"),
        (hammers, "test_it_ends_by_the_deadline", [0.0, None], "goes on for ever"),
        (repeats_whatever_happened, "test_an_unknown_outcome_is_not_sent_again", [LOST], "was sent again"),
        (repeats_whatever_happened, "test_an_unknown_outcome_is_not_sent_again", [500], "was sent again"),
        (changes_keys, "test_a_keyed_call_keeps_its_key", [], "under several keys"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_stage_is_found(around: Any, test: str, arguments: Sequence[Any], message: str) -> None:
    """Each rule of StageContract fails for the stage that breaks it, and says which rule it is."""
    with pytest.raises((AssertionError, pytest.fail.Exception), match=message):
        run(stage_suite(around), test, *arguments)
    run(TestRetry, test, *arguments)


@pytest.mark.parametrize(("name", "slot"), [("", 450), ("mine", 199), ("mine", 950), ("mine", 0)])
def test_a_stage_without_name_or_place_is_found(name: str, slot: int) -> None:
    """Both are looked at before anything runs."""
    with pytest.raises(AssertionError, match=r"has a name|slot \d+"):
        run(stage_suite(passes, name, slot), "test_it_has_a_name_and_a_slot")


def test_the_suite_needs_a_stage() -> None:
    """Who forgets ``make_stage`` is told by its name."""
    with pytest.raises(NotImplementedError):
        StageContract().test_it_has_a_name_and_a_slot()


# Gates


def breaker_step(state: Any, now_ms: int, args: Sequence[Any]) -> tuple[Any, int, Any]:
    """Three failures in a row open it for half a minute."""
    failures, until = state or (0, 0)
    if args[0] == "ask":
        return state, 60_000, max(0, until - now_ms)
    failures = 0 if args[0] == "ok" else failures + 1
    return ([0, now_ms + 30_000] if failures == 3 else [failures, until]), 60_000, None


class Breaker(Gate):
    """A small but honest breaker."""

    name = "small-breaker"
    step = AtomicOp(name="small-breaker.step", version=1, py=breaker_step)

    def __init__(self, store: Store) -> None:
        self.store = store

    def ask(self, attempt: Attempt) -> Any:
        return self.step, ("small-breaker", attempt.call.service), ("ask",)

    def judge(self, attempt: Attempt, reply: Any) -> Refusal | Wait | None:
        return Refusal(CircuitOpenError("open.", retry_after=reply / 1000)) if reply else None

    def settle(self, attempt: Attempt, verdict: Verdict, *, sent: bool) -> Sequence[Any]:
        if not sent or verdict.health == "ignore":
            return ()
        return [(self.step, ("small-breaker", attempt.call.service), (verdict.health,))]


def limiter_step(state: Any, now_ms: int, args: Sequence[Any]) -> tuple[Any, int, Any]:
    """One call per 100 ms; a reply below 0 is a refusal."""
    at = max(state or 0, now_ms)
    wait = at - now_ms
    return (state, 60_000, -wait) if wait > args[0] else (at + 100, 60_000, wait)


class Limiter(Gate):
    """A small but honest limiter."""

    name = "small-limiter"
    step = AtomicOp(name="small-limiter.step", version=1, py=limiter_step)

    def __init__(self, store: Store) -> None:
        self.store = store

    def ask(self, attempt: Attempt) -> Any:
        return self.step, ("small-limiter", attempt.call.service), (int(attempt.max_wait_seconds * 1000),)

    def judge(self, attempt: Attempt, reply: Any) -> Refusal | Wait | None:
        if reply < 0:
            return Refusal(TooManyError("too many.", retry_after=-reply / 1000))
        return Wait(reply / 1000) if reply else None


class TestBreaker(GateContract):
    def make_gate(self, store: Store) -> Gate:
        return Breaker(store)


class TestLimiter(GateContract):
    def make_gate(self, store: Store) -> Gate:
        return Limiter(store)


class TestPlainGate(GateContract):
    refuses_within = 0

    def make_gate(self, store: Store) -> Gate:
        gate = Gate()
        gate.name = "plain"
        return gate


def op(py: Callable[[Any, int, Sequence[Any]], tuple[Any, int, Any]], name: str = "small-breaker.odd") -> AtomicOp:
    """An operation of a bad gate."""
    return AtomicOp(name=name, version=1, py=py)


class LooksInTheStore(Breaker):
    def check(self, attempt: Attempt) -> None:
        assert self.store is not None
        self.store.get(("small-breaker",))


class AsksItself(Breaker):
    def settle(self, attempt: Attempt, verdict: Verdict, *, sent: bool) -> Sequence[Any]:
        assert self.store is not None
        self.store.run(super().settle(attempt, verdict, sent=sent))
        return ()


class RaisesInSettle(Breaker):
    def settle(self, attempt: Attempt, verdict: Verdict, *, sent: bool) -> Sequence[Any]:
        raise LookupError


class TextKey(Breaker):
    def ask(self, attempt: Attempt) -> Any:
        return self.step, "small-breaker", ("ask",)


class ForeignName(Breaker):
    step = op(breaker_step, name="step")


class KeepsSets(Breaker):
    def ask(self, attempt: Attempt) -> Any:
        return op(lambda state, now, args: ({1}, 1000, 0)), ("small-breaker",), ()


class RepliesBytes(Breaker):
    def ask(self, attempt: Attempt) -> Any:
        return op(lambda state, now, args: (1, 1000, b"0")), ("small-breaker",), ()


class KeepsForNoTime(Breaker):
    def ask(self, attempt: Attempt) -> Any:
        return op(lambda state, now, args: (1, 0, 0)), ("small-breaker",), ()


class Counts(Breaker):
    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.numbers = itertools.count()

    def ask(self, attempt: Attempt) -> Any:
        return op(lambda state, now, args: (next(self.numbers), 1000, 0)), ("small-breaker",), ()


class TellsTime(Breaker):
    def judge(self, attempt: Attempt, reply: Any) -> Refusal | Wait | None:
        return Wait(time.monotonic() % 0.01)


class RefusesWithoutATime(Breaker):
    def judge(self, attempt: Attempt, reply: Any) -> Refusal | Wait | None:
        return Refusal(CircuitOpenError("open.")) if reply else None


class RefusesAsTheVendor(Breaker):
    def judge(self, attempt: Attempt, reply: Any) -> Refusal | Wait | None:
        return Refusal(RateLimitExceededError("too many.", retry_after=1)) if reply else None


class WaitsTooLong(Breaker):
    def judge(self, attempt: Attempt, reply: Any) -> Refusal | Wait | None:
        return Wait(attempt.max_wait_seconds + 1)


class ComesAgainTooLate(Breaker):
    def judge(self, attempt: Attempt, reply: Any) -> Again:
        return Again(attempt.max_wait_seconds + 1)


class ComesAgainAtOnce(Breaker):
    def judge(self, attempt: Attempt, reply: Any) -> Again | None:
        if attempt.state.setdefault(self.name, []):
            return None
        attempt.state[self.name].append("asked")
        return Again(0)


class ReturnsTheError(Breaker):
    def check(self, attempt: Attempt) -> Any:
        return CircuitOpenError("open.")


class OwnStore(Breaker):
    def __init__(self, store: Store) -> None:
        super().__init__(attrs.make_class("OtherStore", [])())


def admits(gate: type[Gate]) -> tuple[type[Gate], str, tuple[object, ...]]:
    """A gate that is found by its first call."""
    return gate, "test_it_admits_a_first_call", ()


@pytest.mark.parametrize(
    ("gate", "test", "arguments", "message"),
    [
        (*admits(LooksInTheStore), "check called store.get"),
        (*admits(AsksItself), "settle called store.run"),
        (*admits(RaisesInSettle), "settle raised LookupError"),
        (*admits(TextKey), "'small-breaker' is no key"),
        (*admits(ForeignName), "do not begin with 'small-breaker'"),
        (*admits(KeepsSets), "state of small-breaker.odd cannot be stored"),
        (*admits(RepliesBytes), "reply of small-breaker.odd cannot be stored"),
        (*admits(KeepsForNoTime), "keeps its state for 0 ms"),
        (*admits(Counts), "small-breaker.odd is not pure"),
        (TellsTime, "test_one_sequence_has_one_result", (0,), "ended otherwise"),
        (RefusesWithoutATime, "test_a_refusal_says_when_to_come_back", (), "does not say when to come back"),
        (RefusesAsTheVendor, "test_a_refusal_says_when_to_come_back", (), "refused 0 of"),
        (*admits(WaitsTooLong), "at most 5.0 s fit"),
        (*admits(ComesAgainTooLate), "at most 5.0 s fit"),
        (*admits(ComesAgainAtOnce), "asked again at once"),
        (*admits(ReturnsTheError), "check returned|was answered with"),
        (OwnStore, "test_it_has_a_name_and_an_order", (), "another store"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_gate_is_found(gate: type[Breaker], test: str, arguments: Sequence[Any], message: str) -> None:
    """Each rule of GateContract fails for the gate that breaks it, and says which rule it is."""
    from nexus_connector.testing.gate_contract import _PATHS

    class Suite(GateContract):
        def make_gate(self, store: Store) -> Gate:
            return gate(store)

    given = [_PATHS.get(each, each) if isinstance(each, str) else each for each in arguments]
    with pytest.raises(AssertionError, match=message):
        run(Suite, test, *given)
    run(TestBreaker, test, *given)


def test_a_gate_that_is_said_to_refuse_must() -> None:
    """``refuses_within`` above 0 is a promise: a gate that admits everything does not keep it."""

    class Suite(TestPlainGate):
        refuses_within = 10

    with pytest.raises(AssertionError, match="refused 0 of 20"):
        Suite().test_a_refusal_says_when_to_come_back()


# Adapters


def receipt(response: Response) -> EmailReceipt:
    """Read an answer."""
    return EmailReceipt(message_id=response.json()["id"], status="queued", call=response.info)


def outcomes(response: Response) -> Sequence[ItemOutcome[EmailReceipt]]:
    """Read an answer of one chunk."""
    return [ItemOutcome(outcome=Outcome.DONE, result=receipt(response))]


class TinyServiceAdapter(ServiceAdapter):
    """A small but honest adapter."""

    vendor = Vendor(
        name="tiny",
        domain="email",
        base_url=("https://api.tiny.example",),
        credentials={"method": "bearer", "token": {"env": "TINY_TOKEN_OF_A_TEST"}},
        documentation="https://docs.tiny.example/send",
    )

    def send_transactional_email(self, request: EmailMessage, options: CallOptions, /) -> Operation[EmailReceipt]:
        return Operation(
            name="email.send_transactional_email",
            request=self._request(request, options),
            parse=receipt,
            classification=Classification(code=lambda response: response.json()["code"]),
        )

    def send_bulk_email(self, request: Sequence[EmailMessage], options: CallOptions, /) -> Bulk[EmailReceipt]:
        chunks = [
            Operation(name="email.send_bulk_email", request=self._request(each, options), parse=outcomes)
            for each in request
        ]
        return Bulk(name="email.send_bulk_email", chunks=chunks, sizes=[1] * len(chunks))

    def _request(self, message: EmailMessage, options: CallOptions) -> Request:
        payload = {"to": list(message.recipients), **options.extra_for("tiny")}
        return Request(method="POST", path="/send").with_json(payload)


MESSAGE = EmailMessage(recipient="ada@example.com", subject="s", text="t", sender="a@example.com")
SEND = Sample(
    method="send_transactional_email",
    value=MESSAGE,
    answers=[{"id": "m1"}],
    result={"message_id": "m1", "status": "queued"},
    extra={"pool": {"name": "gold"}},
)
BULK = Sample(method="send_bulk_email", value=[MESSAGE] * 3, answers=[{"id": "m1"}], result={"message_id": "m1"})
DENIED = Fault(method="send_transactional_email", answer=(400, {"code": "bad_sender"}), code="bad_sender")


class TestTiny(AdapterContract):
    adapter_class = TinyServiceAdapter
    samples = (SEND, BULK)
    faults = (DENIED,)


class Tiny(TinyServiceAdapter):
    """Wrongly named."""


class NobodysServiceAdapter(TinyServiceAdapter):
    """Not named after its vendor."""


class PlainHttpServiceAdapter(TinyServiceAdapter):
    vendor = attrs.evolve(TinyServiceAdapter.vendor, base_url=("http://api.tiny.example",))


class UndocumentedServiceAdapter(TinyServiceAdapter):
    vendor = attrs.evolve(TinyServiceAdapter.vendor, documentation="")


class SecretlessServiceAdapter(TinyServiceAdapter):
    vendor = attrs.evolve(TinyServiceAdapter.vendor, credentials={})


class LowercaseServiceAdapter(TinyServiceAdapter):
    vendor = attrs.evolve(TinyServiceAdapter.vendor, credentials={"method": "bearer", "token": {"env": "token"}})


class TalkativeServiceAdapter(TinyServiceAdapter):
    def send_newsletter(self, request: EmailMessage, options: CallOptions, /) -> Operation[EmailReceipt]:
        return self.send_transactional_email(request, options)


class WrongSignatureServiceAdapter(TinyServiceAdapter):
    def validate_address(self, request: str, options: CallOptions, strict: bool = True, /) -> Operation[AddressCheck]:
        raise NotImplementedError


class UnsampledServiceAdapter(TinyServiceAdapter):
    def validate_address(self, request: str, options: CallOptions, /) -> Operation[AddressCheck]:
        raise NotImplementedError


class FickleServiceAdapter(TinyServiceAdapter):
    count = 0

    def _request(self, message: EmailMessage, options: CallOptions) -> Request:
        FickleServiceAdapter.count += 1
        return super()._request(message, options).with_headers({"X-Count": str(self.count)})


class CallsHomeServiceAdapter(TinyServiceAdapter):
    def _request(self, message: EmailMessage, options: CallOptions) -> Request:
        import socket

        socket.getaddrinfo("api.tiny.example", 443)
        return super()._request(message, options)


class MeddlesServiceAdapter(TinyServiceAdapter):
    def send_bulk_email(self, request: Sequence[EmailMessage], options: CallOptions, /) -> Bulk[EmailReceipt]:
        bulk = super().send_bulk_email(request, options)
        if isinstance(request, list):
            request.clear()
        return bulk


class MisnamedServiceAdapter(TinyServiceAdapter):
    def send_transactional_email(self, request: EmailMessage, options: CallOptions, /) -> Operation[EmailReceipt]:
        return attrs.evolve(super().send_transactional_email(request, options), name="POST /send")


class AbsoluteServiceAdapter(TinyServiceAdapter):
    def _request(self, message: EmailMessage, options: CallOptions) -> Request:
        return attrs.evolve(super()._request(message, options), base_url="https://api.tiny.example")


class MiscountsServiceAdapter(TinyServiceAdapter):
    def send_bulk_email(self, request: Sequence[EmailMessage], options: CallOptions, /) -> Bulk[EmailReceipt]:
        return attrs.evolve(super().send_bulk_email(request, options), sizes=[2, 2, 2])


class WrongTypeServiceAdapter(TinyServiceAdapter):
    def send_transactional_email(self, request: EmailMessage, options: CallOptions, /) -> Any:
        return attrs.evolve(super().send_transactional_email(request, options), parse=Response.json)


class CalllessServiceAdapter(TinyServiceAdapter):
    def send_transactional_email(self, request: EmailMessage, options: CallOptions, /) -> Operation[EmailReceipt]:
        operation = super().send_transactional_email(request, options)
        return attrs.evolve(operation, parse=lambda response: attrs.evolve(receipt(response), call=response.call))


class CodelessServiceAdapter(TinyServiceAdapter):
    def send_transactional_email(self, request: EmailMessage, options: CallOptions, /) -> Operation[EmailReceipt]:
        return attrs.evolve(super().send_transactional_email(request, options), classification=Classification())


class DropsExtraServiceAdapter(TinyServiceAdapter):
    def _request(self, message: EmailMessage, options: CallOptions) -> Request:
        return super()._request(message, CallOptions())


class TakesAllExtraServiceAdapter(TinyServiceAdapter):
    def _request(self, message: EmailMessage, options: CallOptions) -> Request:
        every = {name: value for fields in options.extra.values() for name, value in fields.items()}
        return Request(method="POST", path="/send").with_json({"to": list(message.recipients), **every})


class ShowsItsTokenServiceAdapter(TinyServiceAdapter):
    def send_transactional_email(self, request: EmailMessage, options: CallOptions, /) -> Operation[EmailReceipt]:
        import os

        value = os.environ.get("TINY_TOKEN_OF_A_TEST")
        return attrs.evolve(super().send_transactional_email(request, options), value=value)


@pytest.mark.parametrize(
    ("adapter", "test", "argument", "message"),
    [
        (Tiny, "test_it_is_named_after_its_vendor", None, "call it VendorServiceAdapter"),
        (NobodysServiceAdapter, "test_it_is_named_after_its_vendor", None, "after its vendor"),
        (PlainHttpServiceAdapter, "test_its_vendor_is_complete", None, "is not https"),
        (UndocumentedServiceAdapter, "test_its_vendor_is_complete", None, "is not https"),
        (SecretlessServiceAdapter, "test_its_vendor_is_complete", None, "no credentials"),
        (LowercaseServiceAdapter, "test_its_vendor_is_complete", None, "upper case"),
        (TalkativeServiceAdapter, "test_its_methods_are_the_contracts", None, "send_newsletter"),
        (WrongSignatureServiceAdapter, "test_its_methods_are_the_contracts", None, "should be validate_address"),
        (UnsampledServiceAdapter, "test_every_method_has_a_sample", None, "validate_address"),
        (FickleServiceAdapter, "test_it_is_pure", SEND, "another request"),
        (CallsHomeServiceAdapter, "test_it_is_pure", SEND, "opens no connection"),
        (MeddlesServiceAdapter, "test_it_is_pure", BULK, "another request|changed the value"),
        (MisnamedServiceAdapter, "test_its_requests_can_be_sent", SEND, "is not the method's name"),
        (AbsoluteServiceAdapter, "test_its_requests_can_be_sent", SEND, "chooses the base URL"),
        (MiscountsServiceAdapter, "test_its_requests_can_be_sent", BULK, "add up"),
        (WrongTypeServiceAdapter, "test_it_reads_the_answer", SEND, "not .*EmailReceipt"),
        (CalllessServiceAdapter, "test_it_reads_the_answer", SEND, "take call=response.info"),
        (CodelessServiceAdapter, "test_error_answers_carry_their_code", DENIED, "not 'bad_sender'"),
        (DropsExtraServiceAdapter, "test_extra_reaches_the_payload", SEND, "is not in"),
        (TakesAllExtraServiceAdapter, "test_extra_reaches_the_payload", SEND, "another vendor's extra"),
        (ShowsItsTokenServiceAdapter, "test_credentials_are_sent_and_never_shown", SEND, "is shown"),
    ],
    ids=lambda value: value.__name__.removesuffix("ServiceAdapter") if isinstance(value, type) else "",
)
def test_a_bad_adapter_is_found(adapter: type[ServiceAdapter], test: str, argument: Any, message: str) -> None:
    """Each rule of AdapterContract fails for the adapter that breaks it, and says which rule it is."""
    arguments = [] if argument is None else [copy.deepcopy(argument) if argument is BULK else argument]

    suite = type("Suite", (TestTiny,), {"adapter_class": adapter})

    with pytest.raises(AssertionError, match=message):
        run(suite, test, *arguments)
    run(TestTiny, test, *arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": (BULK,)}, "send_transactional_email"),
        ({"faults": ()}, "Fault"),
        ({"samples": (attrs.evolve(SEND, extra={}), BULK)}, "extra"),
    ],
    ids=["samples", "faults", "extra"],
)
def test_an_adapters_suite_must_be_complete(changes: Mapping[str, object], message: str) -> None:
    """A suite without a sample, a fault or an extra field proves nothing: it fails."""
    suite = type("Suite", (TestTiny,), dict(changes))
    with pytest.raises(AssertionError, match=message):
        run(suite, "test_every_method_has_a_sample")


def test_a_fault_of_another_kind_is_found() -> None:
    """``kind`` is the class that the vendor's code must become."""

    class OddError(VendorError):
        """Nobody raises it."""

    with pytest.raises(VendorError, match="bad_sender"):
        run(TestTiny, "test_error_answers_carry_their_code", attrs.evolve(DENIED, kind=OddError))


# As a plugin's author uses them


def test_five_lines_are_a_suite(pytester: pytest.Pytester) -> None:
    """A subclass is collected with every test of the suite, once per sample; the base classes are not collected."""
    pytester.makepyfile("""
        from nexus_connector import Gate, Stage
        from nexus_connector.testing import GateContract, StageContract

        class TestMyStage(StageContract):
            def make_stage(self):
                stage = Stage()
                stage.name, stage.slot = "mine", 450
                return stage

        class TestMyGate(GateContract):
            refuses_within = 0
            def make_gate(self, store):
                gate = Gate()
                gate.name = "mine"
                return gate
    """)
    collected = pytester.runpytest("-q", "--collect-only").outlines
    assert len([line for line in collected if "::TestMyStage::" in line]) > 30
    assert len([line for line in collected if "::TestMyGate::" in line]) > 30
    assert not [line for line in collected if "Contract::" in line]
    ran = pytester.runpytest("-q", "-W", "error", "-k", "has_a_name or admits or hands_on").parseoutcomes()
    assert set(ran) == {"passed", "deselected"}
    assert ran["passed"] == 5


def test_a_failing_rule_is_readable(pytester: pytest.Pytester) -> None:
    """The report says which rule is broken, not only where."""
    pytester.makepyfile("""
        from nexus_connector import Stage
        from nexus_connector.testing import StageContract

        class Blocking(Stage):
            name, slot = "blocking", 450
            async def __call__(self, call, request, next):
                call.state["mine"] = 1
                return await next(call, request)

        class TestBlocking(StageContract):
            def make_stage(self):
                return Blocking()
    """)
    result = pytester.runpytest("-q", "-k", "state")
    result.stdout.fnmatch_lines(["*keys in call.state that do not begin with 'blocking': *'mine'*"])
