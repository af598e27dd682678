"""Admission: how the gates of a service are asked for an attempt, and how they hear of it (slots 600 and 800)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .call import Attempt
from .conditions import PluginFailed
from .errors import ConnectorError, LocalRateLimitError, PluginError
from .gates import Again, Gate, Refusal, Wait
from .judge import context, lost, refuse
from .message import Request
from .pipeline import Next, Result, Stage
from .state import StoreError

if TYPE_CHECKING:
    from .call import Call
    from .state import Item, Plain, Store
    from .target import Target
    from .verdict import Verdict

_log = logging.getLogger("nexus_connector.gates")
_KEY = "nexus_connector.attempt"

STALE_SECONDS = 0.02
"""After a longer wait the local checks are made again: the world may have changed."""


class CheckGates(Stage):
    """Slot 600: every gate looks at its local state, before credentials are fetched and the store is asked."""

    name = "gates.check"
    slot = 600

    def __init__(self, gates: Sequence[Gate]) -> None:
        self._gates = tuple(gates)

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        """Take part in a call; see the class."""
        attempt = _attempt(call, request)
        try:
            refusal = _check(self._gates, attempt)
        except PluginError:
            raise
        except ConnectorError as error:
            return refuse(call, error)
        if refusal is not None:
            return refuse(call, refusal.error)
        call.state[_KEY] = attempt
        return await next(call, request)


class AskGates(Stage):
    """Slot 800: all questions in one round trip, then the waits; settles every gate that was answered."""

    name = "gates.ask"
    slot = 800

    def __init__(self, gates: Sequence[Gate], target: Target) -> None:
        self._gates = tuple(gates)
        self._target = target

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        """Take part in a call; see the class."""
        attempt: Attempt = call.state.pop(_KEY)
        attempt.request = request
        result = await self._try(call, attempt, next)
        if not _was_late(result):
            return result
        # What admitted it had expired when the send could begin: it is asked for once more.
        attempt = _attempt(call, request)
        refusal = _check(self._gates, attempt)
        return refuse(call, refusal.error) if refusal is not None else await self._try(call, attempt, next)

    async def _try(self, call: Call, attempt: Attempt, next: Next) -> Result:
        answered: list[Gate] = []
        verdict: Verdict = refuse(call, None).verdict
        sends = call.attempts
        handed_over = False
        try:
            try:
                refusal = await self._admit(call, attempt, answered)
            except PluginError:
                raise
            except ConnectorError as error:  # as a hook's: it fails the attempt, nothing is sent
                refusal = Refusal(error)
            call.send_by = attempt.send_by
            result = refuse(call, refusal.error) if refusal is not None else await next(call, attempt.request)
            verdict, attempt.response = result.verdict, result.response
            stream = call.stream
            if stream is not None:
                stream.on_close(
                    lambda error: self._settle(
                        call,
                        attempt,
                        answered,
                        verdict if error is None else stream.broken or lost().verdict,
                        sent=True,
                    )
                )
                handed_over = True
            return result
        except BaseException:
            if call.attempts > sends:
                verdict = lost().verdict
            raise
        finally:
            if not handed_over:
                self._settle(call, attempt, answered, verdict, sent=call.attempts > sends)

    async def _admit(self, call: Call, attempt: Attempt, answered: list[Gate]) -> Refusal | None:
        """Ask until every gate has said yes or one has said no; returns that one's refusal."""
        started = until = call.io.now()
        patience = attempt.max_wait_seconds
        asked: Sequence[Gate] = self._gates
        while True:
            judged = _judge_all(await self._ask(call, attempt, asked, answered), attempt, answered)
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
        if until > call.io.now():
            await call.io.sleep(min(until - call.io.now(), max(0.0, call.remaining_seconds)))
        waited = call.io.now() - started
        if until <= started and asked is self._gates:
            return None
        if call.attempt_deadline is not None:
            call.attempt_deadline += waited  # attempt_timeout_seconds is the time of one send
        return _check(self._gates, attempt) if waited > STALE_SECONDS else None

    async def _ask(
        self, call: Call, attempt: Attempt, gates: Sequence[Gate], answered: list[Gate]
    ) -> list[tuple[Gate, Plain | StoreError]]:
        asked: dict[int, tuple[Store, list[Gate], list[Item]]] = {}
        for gate in gates:
            try:
                item = gate.ask(attempt)
            except ConnectorError:
                raise
            except Exception as error:
                raise _failure(gate, call, error) from error
            if item is None or gate.store is None:
                _add(answered, gate)
                continue
            _, askers, items = asked.setdefault(id(gate.store), (gate.store, [], []))
            askers.append(gate)
            items.append(item)
        replies: list[tuple[Gate, Plain | StoreError]] = []
        for store, askers, items in asked.values():
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
                _add(answered, gate)
            replies.extend(zip(askers, got, strict=True))
        return replies

    def _settle(self, call: Call, attempt: Attempt, answered: Sequence[Gate], verdict: Verdict, *, sent: bool) -> None:
        for gate in answered:
            try:
                self._settle_one(gate, attempt, verdict, sent=sent)
            except Exception as error:  # the others must hear of it too, and the call is over: its result counts
                _log.exception("gate %s raised in settle", gate.name)
                message = f"raised {type(error).__name__}"
                call.emit(PluginFailed, plugin=gate.name, hook="settle", message=message)

    def _settle_one(self, gate: Gate, attempt: Attempt, verdict: Verdict, *, sent: bool) -> None:
        items = list(gate.settle(attempt, verdict, sent=sent))
        store = gate.store
        if store is None or not items:
            return
        post = _posting(gate, store, attempt, items)
        if store.blocking:
            self._target.outbox().post(post)
        else:
            post()


class LateError(LocalRateLimitError):
    """What admitted an attempt had expired before its send could begin."""


def late(call: Call) -> Result:
    """Return the result of a send that was not made, because its admission had expired."""
    message = f"The limit of {call.service} had admitted {call.operation.name}, but it could not be sent in time."
    hint = "Nothing was sent. This process is short of time or of connections: look at its load and max_concurrency."
    return refuse(call, LateError(message, hint=hint))


def _was_late(result: Result) -> bool:
    return isinstance(result.verdict.error, LateError)


def _add(answered: list[Gate], gate: Gate) -> None:
    if gate not in answered:  # one that was asked again settles once
        answered.append(gate)


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


def _judge_all(
    replies: Sequence[tuple[Gate, Plain | StoreError]], attempt: Attempt, answered: list[Gate]
) -> list[tuple[Gate, Refusal | Wait | Again | None]]:
    """Let each gate hear its own reply, whatever the others say: what it was given it must give back."""
    judged: list[tuple[Gate, Refusal | Wait | Again | None]] = []
    failure: PluginError | None = None
    for gate, reply in replies:
        try:
            judged.append((gate, _judge(gate, attempt, reply)))
            if isinstance(reply, StoreError):
                _add(answered, gate)
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


def _posting(gate: Gate, store: Store, attempt: Attempt, items: Sequence[Item]) -> Callable[[], None]:
    def post() -> None:
        try:
            replies = store.run(items)
        except StoreError as error:  # told as StoreDegraded
            gate.lost(attempt, items, error)
        else:
            gate.settled(attempt, replies)

    return post


def _attempt(call: Call, request: Request) -> Attempt:
    wait = min(call.target.max_inline_wait_seconds, max(0.0, call.remaining_seconds))
    return Attempt(call=call, number=call.attempts + 1, region=call.region, request=request, max_wait_seconds=wait)
