"""The stage: claims the key of a call before anything is sent, and writes down what became of it."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from nexus_connector.errors import VendorError
from nexus_connector.events import IdempotentReplay
from nexus_connector.pipeline import Next, Result, Stage
from nexus_connector.state import StoreError
from nexus_connector.verdict import REPEATABLE, Outcome, Verdict

from . import _refusals as refusals
from ._answer import STREAM, error_kept, kept_of, replayed
from ._fingerprint import fingerprint
from ._index import Entry
from ._ledger import Claim, Ledger, claim_key
from ._listing import list_open, settle_open
from ._machine import ANY_GENERATION, Ending, Reply

if TYPE_CHECKING:
    from nexus_connector.call import Call
    from nexus_connector.io import Io
    from nexus_connector.message import Request
    from nexus_connector.outcomes import PendingOutcome, Settled
    from nexus_connector.state import Plain

    from ._options import IdempotencyOptions

GRACE_SECONDS: Final = 1.0
"""So much longer than its call may take runs a lease."""
_FIRST_LOOK_SECONDS: Final = 0.01
_LONGEST_LOOK_SECONDS: Final = 0.5
_GROWTH: Final = 1.6
_NOT_HEARD: Final = frozenset({401, 403, 408, 409, 423, 425, 429, 503})
"""Refusals that say nothing of an earlier call: not let in, put off for later, or busy with that very call."""


class IdempotencyStage(Stage):
    """Slot 200: does under one key one thing once.

    One stage serves one service in one process, from all its threads.

    Args:
        options: The service's options.
        ledger: The service's claims.

    Attributes:
        claims_keys: Keys are safe with it even where the vendor does not honour them.
    """

    name = "idempotency"
    slot = 200
    claims_keys = True

    def __init__(self, options: IdempotencyOptions, ledger: Ledger) -> None:
        self._options = options
        self._ledger = ledger
        self._log = logging.getLogger(f"nexus_connector.{ledger.service}")

    async def __call__(self, call: Call, request: Request, next: Next) -> Result:
        """Claim the key of the call, then run the rest of the chain; or answer as the claim says."""
        self._ledger.catch_up(call.target.outbox())
        named = call.idempotency_key not in {None, call.id}  # the call's id stands where nobody named a key
        if not named and call.safety in {"safe", "idempotent"}:
            return await next(call, request)
        claim = self._claim(call, request, named=named)
        async with AsyncExitStack() as held:
            if named:  # others of this process wait here, without asking the store
                try:
                    await held.enter_async_context(call.io.lock(("idempotency", *claim.place), call.deadline))
                except TimeoutError:
                    return await self._without_lock(call, claim)
            return await self._claimed(call, request, next, claim)

    async def pending(self, io: Io) -> Sequence[PendingOutcome]:
        """Return the calls whose outcome is open, oldest first.

        Raises:
            IdempotencyUnavailableError: If the store does not answer.
        """
        return await list_open(io, self._ledger)

    async def settle(self, io: Io, pending: PendingOutcome, outcome: Settled) -> None:
        """Write down what a person found out: ``done`` keeps the key taken, anything else frees it.

        Raises:
            InvalidRequestError: If the call is still under way, or not open any more.
            IdempotencyUnavailableError: If the store does not answer.
        """
        await settle_open(io, self._ledger, pending, outcome, keep_ms=self._options.keep_ms(pending.operation))

    def _claim(self, call: Call, request: Request, *, named: bool) -> Claim:
        operation, key = call.operation.name, call.idempotency_key or call.id
        open_ms = self._options.open_ms(operation)
        resend_ms = 0
        if call.safety in REPEATABLE:
            by_key = round(self._options.vendor_keep_seconds * 1000)
            resend_ms = by_key if call.safety == "keyed" else 2 * open_ms
        return Claim(
            place=claim_key(call.service, call.tenant_id, operation, key),
            entry=Entry(call.id, 1, call.tenant_id, operation, key),
            fingerprint=fingerprint(call, request),
            resend_ms=resend_ms,
            keep_ms=self._options.keep_ms(operation) if named else 0,  # nobody knows a key that was made up here
            open_ms=open_ms,
        )

    async def _claimed(self, call: Call, request: Request, next: Next, claim: Claim) -> Result:
        outbox = call.target.outbox()
        try:
            reply = await self._obtain(call, claim)
        except StoreError as error:
            if self._options.when_store_down == "refuse":
                self._ledger.put_off(claim, "released")  # it may have been written, and its reply lost
                return refusals.store_down(call, str(error))
            return await self._unclaimed(call, request, next, claim, error)
        except BaseException:
            self._ledger.post(outbox, claim, ANY_GENERATION, "released")
            raise
        if isinstance(reply, Result):
            return reply
        if reply.word != "granted":
            return self._answered(call, claim, reply)
        try:
            result = await next(call, request)
        except BaseException as error:
            ending: Ending = "unknown" if call.attempts or reply.doubt else "released"
            self._ledger.post(outbox, claim, reply.generation, ending, _ended_with(error))
            raise
        return await self._settled(call, claim, reply, result)

    async def _unclaimed(self, call: Call, request: Request, next: Next, claim: Claim, error: StoreError) -> Result:
        """Send without a claim, as the service accepts, and say so; the claim may have been written all the same."""
        text = "%s of %s is sent without a claim of its idempotency key (when_store_down = send): %s"
        facts = {"service": call.service, "operation": call.operation.name, "call_id": call.id}
        self._log.warning(text, call.operation.name, call.service, call.redactor.text(str(error)), extra=facts)
        try:
            result = await next(call, request)
        except BaseException as raised:
            self._ledger.put_off(claim, "unknown" if call.attempts else "released", _ended_with(raised))
            raise
        if not self._ends_with_stream(call, claim, ANY_GENERATION, result):
            self._ledger.put_off(claim, *self._ending(call, result, doubt=False))
        return result

    async def _without_lock(self, call: Call, claim: Claim) -> Result:
        """Answer a call whose time ran out while another of this process was under way."""
        try:
            reply = await self._ledger.look(call.io, claim)
        except StoreError as error:
            return refusals.store_down(call, str(error))
        if reply.word == "free":  # the other one has just ended, or not begun; there is no time left to find out
            return refusals.in_flight(call, claim.entry.key, reply)
        return self._answered(call, claim, reply)

    async def _obtain(self, call: Call, claim: Claim) -> Reply | Result:
        """Claim the key; while another process is at it, wait for that within the deadline."""
        pause = _FIRST_LOOK_SECONDS
        while True:
            lease_ms = math.ceil((max(0.0, call.remaining_seconds) + GRACE_SECONDS) * 1000)
            reply = await self._ledger.claim(call.io, claim, lease_ms)
            if reply is None:
                return refusals.index_full(call)
            while reply.word == "in_flight":
                left = call.remaining_seconds
                if left <= 0:
                    return reply
                wait = pause * (0.5 + 0.5 * call.io.random.random())
                await call.io.sleep(min(wait, left, reply.left_ms / 1000))
                pause = min(pause * _GROWTH, _LONGEST_LOOK_SECONDS)
                try:
                    reply = await self._ledger.look(call.io, claim)
                except StoreError as error:  # somebody is at it: whatever the options say, this is not sent
                    return refusals.store_down(call, str(error))
            if reply.word != "free":
                return reply
            claim = claim.again()

    def _answered(self, call: Call, claim: Claim, reply: Reply) -> Result:
        """Answer a call whose key is taken."""
        key = claim.entry.key
        if reply.word == "conflict":
            return refusals.conflict(call, key)
        if reply.word == "in_flight":
            return refusals.in_flight(call, key, reply)
        if reply.word == "unknown":
            return refusals.unknown(call, key, reply)
        response = replayed(call, reply.kept)
        if response is None:
            return refusals.done_without_answer(call, key, reply)
        call.emit(IdempotentReplay, operation=call.operation.name, original_call_id=reply.call_id)
        return Result(Verdict(outcome=Outcome.DONE, health="ignore"), response)

    async def _settled(self, call: Call, claim: Claim, reply: Reply, result: Result) -> Result:
        """Write down what became of a call that was sent, or was not."""
        outbox, generation = call.target.outbox(), reply.generation
        if self._ends_with_stream(call, claim, generation, result):
            return result
        ending, kept = self._ending(call, result, doubt=reply.doubt)
        await self._ledger.finish(call.io, outbox, claim, generation, ending, kept)
        is_left_open = ending == "unknown" and result.verdict.outcome is not Outcome.UNKNOWN
        return refusals.still_unknown(call, result) if is_left_open else result

    def _ends_with_stream(self, call: Call, claim: Claim, generation: int, result: Result) -> bool:
        """Leave the end of a claim to the stream that was handed over, if there is one."""
        if result.response is None or result.response.stream is None or call.stream is None:
            return False
        call.stream.on_close(lambda error: self._stream_ended(call, claim, generation, error))
        return True

    def _stream_ended(self, call: Call, claim: Claim, generation: int, error: BaseException | None) -> None:
        broken: Ending = "released" if call.safety == "safe" else "unknown"
        ending: Ending = "done" if error is None else broken
        kept: Plain = [STREAM] if error is None else call.redactor.text(str(error) or type(error).__name__)
        self._ledger.post(call.target.outbox(), claim, generation, ending, kept)

    def _ending(self, call: Call, result: Result, *, doubt: bool) -> tuple[Ending, Plain]:
        """Return what a result means for the claim, and what is kept of it."""
        verdict, response = result.verdict, result.response
        text = None if verdict.error is None else call.redactor.text(str(verdict.error))
        if verdict.outcome is Outcome.DONE and response is not None:
            if verdict.error is not None:
                return "done", error_kept()
            return "done", kept_of(call, response, max_bytes=self._options.max_stored_bytes)
        if verdict.outcome is Outcome.REFUSED and not (doubt and _says_nothing(verdict)):
            return "refused", None
        if verdict.outcome is Outcome.NOT_SENT and not doubt:
            return "released", None
        if verdict.outcome is Outcome.UNKNOWN and call.safety == "safe":
            return "released", None
        return "unknown", text or "it ended without an answer"


def _ended_with(error: BaseException) -> str:
    return f"it ended with {type(error).__name__}"


def _says_nothing(verdict: Verdict) -> bool:
    """Say whether a refusal leaves open what an earlier call under the same key did."""
    return verdict.retry or (isinstance(verdict.error, VendorError) and verdict.error.status in _NOT_HEARD)
