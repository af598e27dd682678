"""Admission: how the gates of a service are asked for an attempt (slots 600 and 800)."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from .call import Attempt
from .errors import ConnectorError, LocalRateLimitError, PluginError
from .gates import Again, Gate, Refusal, Wait
from .judge import context, refuse
from .message import Request
from .pipeline import Next, Result, Stage
from .settlement import Settlement
from .state import StoreError

if TYPE_CHECKING:
    from .call import Call
    from .state import Item, Plain, Store

_Question: TypeAlias = "tuple[Store, list[Gate], list[Item]]"
"""What some gates want to know of one store."""

_KEY = "nexus_connector.attempt"

_blank: Final = Attempt.__new__

STALE_SECONDS = 0.02
"""After a longer wait the local checks are made again: the world may have changed."""


class CheckGates(Stage):
    """Slot 600: every gate looks at its local state, before credentials are fetched and the store is asked."""

    name = "gates.check"
    slot = 600

    def __init__(self, gates: Sequence[Gate]) -> None:
        self._gates = tuple(gates)

    def __call__(self, call: Call, request: Request, next: Next) -> Awaitable[Result]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # it has nothing to wait for
        """Take part in a call; see the class."""
        attempt = _attempt(call, request)
        try:
            refusal = _check(self._gates, attempt)
        except PluginError:
            raise
        except ConnectorError as error:
            return _refused(call, error)
        if refusal is not None:
            return _refused(call, refusal.error)
        call.state[_KEY] = attempt
        return next(call, request)


class AskGates(Stage):
    """Slot 800: all questions in one round trip, then the waits; settles every gate that was answered."""

    name = "gates.ask"
    slot = 800

    def __init__(self, gates: Sequence[Gate]) -> None:
        self._gates = tuple(gates)

    def __call__(self, call: Call, request: Request, next: Next) -> Awaitable[Result]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # the waits are in what it returns
        """Take part in a call; see the class."""
        attempt: Attempt = call.state.pop(_KEY)
        attempt.request = request
        return self._try(call, attempt, next, is_last=False)

    async def _try(self, call: Call, attempt: Attempt, next: Next, *, is_last: bool) -> Result:
        settlement = Settlement(attempt, call.attempts)
        handed_over = False
        try:
            try:
                questions = self._questions(attempt, self._gates, settlement)
                refusal = await self._admit(call, attempt, questions, settlement) if questions else None
            except PluginError:
                raise
            except ConnectorError as error:  # as a hook's: it fails the attempt, nothing is sent
                refusal = Refusal(error)
            call.send_by = attempt.send_by
            result = refuse(call, refusal.error) if refusal is not None else await next(call, attempt.request)
            settlement.verdict, attempt.response = result.verdict, result.response
            if call.stream is not None:
                call.stream.on_close(partial(settlement.end_with, call.stream))
                handed_over = True
        except BaseException:
            settlement.break_off()
            raise
        finally:
            if not handed_over:
                settlement.end()
        if is_last or not isinstance(result.verdict.error, LateError):
            return result
        # What admitted it had expired when the send could begin: it is asked for once more.
        attempt = _attempt(call, attempt.request)
        refusal = _check(self._gates, attempt)
        return (
            refuse(call, refusal.error) if refusal is not None else await self._try(call, attempt, next, is_last=True)
        )

    async def _admit(
        self, call: Call, attempt: Attempt, questions: Sequence[_Question], settlement: Settlement
    ) -> Refusal | None:
        """Ask until every gate has said yes or one has said no; returns that one's refusal."""
        started = until = call.io.now()
        patience = attempt.max_wait_seconds
        asked: Sequence[Gate] = self._gates
        while True:
            judged = _judge_all(await _answers(call, questions, settlement), attempt, settlement)
            if not judged and asked is self._gates:
                return None  # nearly always: everybody says yes, now
            now = call.io.now()
            for _, answer in judged:
                if isinstance(answer, Refusal):
                    return answer
                if isinstance(answer, Wait):
                    until = max(until, now + answer.seconds)
            again = [(gate, answer.seconds) for gate, answer in judged if isinstance(answer, Again)]
            if not again:
                break
            pause = min(seconds for _, seconds in again)
            if now + pause > started + patience:
                return Refusal(_no_room(call, again[0][0], patience, pause))
            await call.io.sleep(pause)
            asked = [gate for gate, _ in again]
            attempt.max_wait_seconds = max(0.0, started + patience - call.io.now())
            questions = self._questions(attempt, asked, settlement)
        if until > call.io.now():
            await call.io.sleep(min(until - call.io.now(), max(0.0, call.remaining_seconds)))
        waited = call.io.now() - started
        if call.attempt_deadline is not None:
            call.attempt_deadline += waited  # attempt_timeout_seconds is the time of one send
        return _check(self._gates, attempt) if waited > STALE_SECONDS else None

    def _questions(self, attempt: Attempt, gates: Sequence[Gate], settlement: Settlement) -> list[_Question]:
        """Collect what the gates want to ask, by store; one that asks nothing has admitted the attempt."""
        questions: list[_Question] = []
        for gate in gates:
            try:
                item = gate.ask(attempt)
            except ConnectorError:
                raise
            except Exception as error:
                raise _failure(gate, attempt.call, error) from error
            if item is None or gate.store is None:
                if gate not in settlement.answered:  # as `add`, without a call: nearly every gate comes through here
                    settlement.answered.append(gate)
                continue
            for store, askers, items in questions:
                if store is gate.store:
                    askers.append(gate)
                    items.append(item)
                    break
            else:
                questions.append((gate.store, [gate], [item]))
        return questions


class LateError(LocalRateLimitError):
    """What admitted an attempt had expired before its send could begin."""


def late(call: Call) -> Result:
    """Return the result of a send that was not made, because its admission had expired."""
    message = f"The limit of {call.service} had admitted {call.operation.name}, but it could not be sent in time."
    hint = "Nothing was sent. This process is short of time or of connections: look at its load and max_concurrency."
    return refuse(call, LateError(message, hint=hint))


async def _refused(call: Call, error: ConnectorError) -> Result:
    return refuse(call, error)


def _no_room(call: Call, gate: Gate, patience: float, retry_after: float) -> LocalRateLimitError:
    message = f"{gate.name} did not admit {call.operation.name} of {call.service} within {patience:g} s."
    hint = "Nothing was sent; make the call again later, or give it more time."
    return LocalRateLimitError(message, hint=hint, retry_after=retry_after)


def _check(gates: Sequence[Gate], attempt: Attempt) -> Refusal | None:
    for gate in gates:
        try:
            refusal = gate.check(attempt)
        except ConnectorError:
            raise
        except Exception as error:
            raise _failure(gate, attempt.call, error) from error
        if refusal is not None:
            return refusal
    return None


async def _answers(
    call: Call, questions: Sequence[_Question], settlement: Settlement
) -> list[tuple[Gate, Plain | StoreError]]:
    """Put the questions, one round trip for each store."""
    replies: list[tuple[Gate, Plain | StoreError]] = []
    for store, askers, items in questions:
        try:
            got = store.run(items) if not store.blocking else await call.io.store_run(store, items)
        except StoreError as error:  # each gate has its own answer to that
            replies.extend((gate, error) for gate in askers)
            continue
        except ConnectorError:
            raise
        except Exception as error:
            raise _failure(askers[0], call, error) from error
        for gate in askers:
            settlement.add(gate)
        replies.extend(zip(askers, got, strict=True))
    return replies


def _judge_all(
    replies: Sequence[tuple[Gate, Plain | StoreError]], attempt: Attempt, settlement: Settlement
) -> list[tuple[Gate, Refusal | Wait | Again]]:
    """Let each gate hear its own reply, whatever the others say: what it was given it must give back.

    Returns:
        What is not simply yes.
    """
    judged: list[tuple[Gate, Refusal | Wait | Again]] = []
    failure: PluginError | None = None
    for gate, reply in replies:
        try:
            answer = _judge(gate, attempt, reply)
            if isinstance(reply, StoreError):
                settlement.add(gate)
            if answer is not None:
                judged.append((gate, answer))
        except PluginError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return judged


def _judge(gate: Gate, attempt: Attempt, reply: Plain | StoreError) -> Refusal | Wait | Again | None:
    try:
        if isinstance(reply, StoreError):
            return gate.without_store(attempt, reply)
        return gate.judge(attempt, reply)
    except PluginError:
        raise
    except ConnectorError as error:  # as a hook's: it fails the attempt, nothing is sent
        return Refusal(error)
    except Exception as error:
        raise _failure(gate, attempt.call, error) from error


def _failure(gate: Gate, call: Call, error: Exception) -> PluginError:
    message = f"Gate {gate.name!r} raised {type(error).__name__} in a call of {call.service}."
    hint = "Its own exception is the cause; mend the gate or remove its plugin."
    return PluginError(message, hint=hint, **context(call))


def _attempt(call: Call, request: Request) -> Attempt:
    most, left = call.target.max_inline_wait_seconds, call.deadline - call.io.now()
    attempt = _blank(Attempt)  # what attrs would do, in half of the time: every attempt comes through here
    attempt.call = call
    attempt.number = call.attempts + 1
    attempt.region = call.region
    attempt.request = request
    attempt.max_wait_seconds = most if most < left else max(0.0, left)
    attempt.send_by = attempt.response = None
    attempt.state = {}
    return attempt
