"""Gates: what admits an attempt and learns how it went. One store round trip asks them all."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

from .conditions import PluginFailed
from .errors import ConnectorError, PluginError
from .judge import context, lost, refuse
from .message import Request
from .pipeline import Next, Result, Stage
from .state import StoreError

if TYPE_CHECKING:
    from .call import Attempt, Call
    from .state import Item, Plain, Store
    from .target import Target
    from .verdict import Verdict

_log = logging.getLogger("nexus_connector.gates")

STALE_SECONDS = 0.02
"""After a longer wait the local checks are made again: the world may have changed."""


@attrs.frozen
class Refusal:
    """A gate does not admit the attempt.

    Attributes:
        error: What is raised if no further attempt is made; a NotSentError.
    """

    error: ConnectorError


@attrs.frozen
class Wait:
    """A gate admits the attempt after a wait; it has reserved that moment.

    Attributes:
        seconds: How long.
    """

    seconds: float


class Gate:
    """Base of gates. Each method receives the attempt; ``attempt.state[self.name]`` is the gate's own.

    Attributes:
        name: Unique name.
        order: Gates are asked in ascending order.
        store: Where its items run; ``None`` for a gate without shared state.
    """

    name: str = ""
    order: int = 100
    store: Store | None = None

    def check(self, attempt: Attempt) -> Refusal | None:
        """Look at local state only; slot 600, and again after a long wait."""

    def ask(self, attempt: Attempt) -> Item | None:
        """Return the question to the store, or ``None``: admitted without asking."""

    def judge(self, attempt: Attempt, reply: Plain) -> Refusal | Wait | None:
        """Read the store's reply; ``None``: admitted."""

    def without_store(self, attempt: Attempt, error: StoreError) -> Refusal | Wait | None:
        """Decide in the place of `judge`, because the store failed; `settle` follows. ``None``: admitted.

        Args:
            attempt: The attempt.
            error: How it failed; raised by default, as a bug of the gate.
        """
        raise error

    def settle(self, attempt: Attempt, verdict: Verdict, *, sent: bool) -> Sequence[Item]:
        """Hear how the attempt went, exactly once after `ask` was answered; return what the store must learn.

        Args:
            attempt: The attempt.
            verdict: How it went.
            sent: Whether anything was sent; if not, reservations are given back.
        """
        return ()

    def settled(self, attempt: Attempt, replies: Sequence[Plain]) -> None:
        """Hear the store's replies to the items of `settle`."""


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
            result = refuse(call, refusal.error) if refusal is not None else await next(call, request)
            verdict = result.verdict
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
        replies = await self._ask(call, attempt, answered)
        wait = 0.0
        refusal: Refusal | None = None
        failure: PluginError | None = None
        for gate, reply in replies:  # each hears its own, whatever the others say: what it was given it must give back
            try:
                judged = _judge(gate, attempt, reply)
                if isinstance(reply, StoreError):
                    answered.append(gate)
            except PluginError as error:
                failure = failure or error
                continue
            if isinstance(judged, Refusal):
                refusal = refusal or judged
            elif judged is not None:
                wait = max(wait, judged.seconds)
        if failure is not None:
            raise failure
        if refusal is not None or wait <= 0:
            return refusal
        started = call.io.now()
        await call.io.sleep(min(wait, max(0.0, call.remaining_seconds)))
        if call.attempt_deadline is not None:
            call.attempt_deadline += call.io.now() - started  # attempt_timeout_seconds is the time of one send
        return _check(self._gates, attempt) if call.io.now() - started > STALE_SECONDS else None

    async def _ask(self, call: Call, attempt: Attempt, answered: list[Gate]) -> list[tuple[Gate, Plain | StoreError]]:
        asked: dict[int, tuple[Store, list[Gate], list[Item]]] = {}
        for gate in self._gates:
            try:
                item = gate.ask(attempt)
            except ConnectorError:
                raise
            except Exception as error:
                raise _failure(gate, call, error) from error
            if item is None or gate.store is None:
                answered.append(gate)
                continue
            _, gates, items = asked.setdefault(id(gate.store), (gate.store, [], []))
            gates.append(gate)
            items.append(item)
        replies: list[tuple[Gate, Plain | StoreError]] = []
        for store, gates, items in asked.values():
            try:
                got = store.run(items) if not store.blocking else await call.io.store_run(store, items)
            except StoreError as error:  # each gate has its own answer to that
                replies.extend((gate, error) for gate in gates)
                continue
            except ConnectorError:
                raise
            except Exception as error:
                raise _failure(gates[0], call, error) from error
            answered.extend(gates)
            replies.extend(zip(gates, got, strict=True))
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
        if store.blocking:
            self._target.outbox().post(_posting(gate, store, attempt, items))
        else:
            gate.settled(attempt, store.run(items))


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


def _judge(gate: Gate, attempt: Attempt, reply: Plain | StoreError) -> Refusal | Wait | None:
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


def _posting(gate: Gate, store: Store, attempt: Attempt, items: Sequence[Item]) -> Any:
    def post() -> None:
        with contextlib.suppress(StoreError):  # told as StoreDegraded; what the gate knows itself must do
            gate.settled(attempt, store.run(items))

    return post


_KEY = "nexus_connector.attempt"


def _attempt(call: Call, request: Request) -> Attempt:
    from .call import Attempt

    wait = min(call.target.max_inline_wait_seconds, max(0.0, call.remaining_seconds))
    return Attempt(call=call, number=call.attempts + 1, region=call.region, request=request, max_wait_seconds=wait)
