"""Refusals: what a caller is told whose call its key does not let through."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from nexus_connector.errors import (
    ConnectorError,
    IdempotencyConflictError,
    IdempotencyInFlightError,
    IdempotencyUnavailableError,
    plain_kind,
    with_unknown_outcome,
)
from nexus_connector.pipeline import Result
from nexus_connector.verdict import Outcome, Verdict

from ._answer import reason_of

if TYPE_CHECKING:
    from nexus_connector.call import Call

    from ._machine import Reply


def conflict(call: Call, key: str) -> Result:
    """Return the refusal of a key that stands for other arguments."""
    message = f"The idempotency key {key!r} was used for {_what(call)} with other arguments."
    hint = "Nothing was sent. Use one key for one thing: a new key for these arguments, or the arguments of before."
    return _refused(call, IdempotencyConflictError(message, hint=hint, retry_safe=False))


def done_without_answer(call: Call, key: str, reply: Reply) -> Result:
    """Return the refusal of a key whose call was done, but whose answer cannot be replayed."""
    message = f"{_what(call)} was done under the key {key!r} by call {reply.call_id}; {reason_of(reply.kept)}."
    hint = "Nothing was sent now. Look at the vendor for its result; use a new key to do it once more."
    return _refused(call, IdempotencyConflictError(message, hint=hint, outcome=Outcome.DONE, retry_safe=False))


def in_flight(call: Call, key: str, reply: Reply) -> Result:
    """Return the refusal of a key whose call is still under way."""
    holder = f", in call {reply.call_id}" if reply.call_id else ""
    message = f"{_what(call)} is still under way under the key {key!r}{holder}."
    left = reply.left_ms / 1000
    when = f"in {math.ceil(left)} s" if left else "now"
    hint = f"Nothing was sent now. Make the same call again {when}: it gets that one's answer."
    error = _unknown_kind(call)(message, hint=hint, retry_safe=True, retry_after=left or None)
    return _refused(call, error)


def unknown(call: Call, key: str, reply: Reply) -> Result:
    """Return the refusal of a key whose call may have happened and cannot be sent again."""
    told = f": {reply.kept}" if isinstance(reply.kept, str) else ", its process ended before it could say"
    message = f"Nobody knows whether {_what(call)} was done under the key {key!r} by call {reply.call_id}{told}"
    settle = f"nexus outcomes --settle {reply.call_id} --as done, or --as refused"
    hint = f"Nothing was sent now. Look at the vendor, then say what you found: {settle}."
    error = _unknown_kind(call)(f"{message.removesuffix('.')}.", hint=hint, retry_safe=False)
    return _refused(call, error)


def store_down(call: Call, reason: str) -> Result:
    """Return the refusal of a call that cannot be claimed."""
    message = f"{_what(call)} was not sent, because its idempotency key cannot be claimed: {reason.removesuffix('.')}."
    hint = "Make the same call again when stores.durable answers; nexus doctor looks at it."
    return _refused(call, IdempotencyUnavailableError(message, hint=hint))


def index_full(call: Call) -> Result:
    """Return the refusal of a call that could not be listed if its outcome became unknown."""
    message = f"{_what(call)} was not sent: too many outcomes of {call.service} are open to keep account of another."
    hint = "Look at nexus outcomes and settle what is unknown."
    return _refused(call, IdempotencyUnavailableError(message, hint=hint))


def still_unknown(call: Call, result: Result) -> Result:
    """Return the result of a call that took an unknown outcome over and learnt nothing of it.

    What it says of itself is true, but what may have happened before stays said.
    """
    verdict = result.verdict
    error = verdict.error
    if error is not None:
        error.outcome, error.retry_safe = Outcome.UNKNOWN, True
        error.__class__ = with_unknown_outcome(plain_kind(type(error)))
        error.hint = (
            "An earlier call under this key may have happened. Make the same call again, or look at the vendor."
        )
    verdict = Verdict(outcome=Outcome.UNKNOWN, health=verdict.health, retry_after=verdict.retry_after, error=error)
    return Result(verdict, result.response)


def _what(call: Call) -> str:
    return f"{call.operation.name} of {call.service}"


def _unknown_kind(call: Call) -> type[IdempotencyInFlightError]:
    if call.safety == "safe":
        return IdempotencyInFlightError
    return cast("type[IdempotencyInFlightError]", with_unknown_outcome(IdempotencyInFlightError))


def _refused(call: Call, error: ConnectorError) -> Result:
    return Result(Verdict(outcome=error.outcome, health="ignore", retry_after=error.retry_after, error=error))
