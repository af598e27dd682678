"""The pass: what the gate knows of one attempt, from its first question until it is settled."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final

import attrs

from ._refusals import ROUNDING

if TYPE_CHECKING:
    from nexus_connector.call import Attempt
    from nexus_connector.gates import Again, Refusal

    from ._rules import Kind

_GRACE_SECONDS: Final = 1.0  # so much longer than its attempt may take has a call its permit
_STREAM_SECONDS: Final = 900.0
"""So long has a stream its permit: nobody knows how long its body will take."""


@attrs.define
class Pass:
    """What is known of one attempt.

    Attributes:
        began: When it asked for the first time.
        asked: When it asked last.
        kind: The limits that apply to it.
        tenant: Whose call it is.
        lease: Whether it asked for more tokens than its own.
        leased: Whether its token was one of those that were there.
        number: Number of the grant; 0: there is none.
        queued: Whether it was told to come again.
        alone: Whether the store failed, and this process decided by itself.
        own: Number of the grant out of this process's own share; 0: it was not asked for.
        answer: What that share says before the store is asked: when to come, or that there is no room.
    """

    began: float
    asked: float
    kind: Kind
    tenant: str | None
    lease: bool = False
    leased: bool = False
    number: int = 0
    queued: bool = False
    alone: bool = False
    own: int = 0
    answer: Refusal | Again | None = None

    @property
    def key(self) -> Hashable:
        """What its tokens are kept under."""
        return self.tenant, self.kind.operation, self.kind.cost


def us(seconds: float) -> int:
    """Return a time in whole microseconds, rounded up; 0 for what has passed."""
    return max(0, math.ceil(min(seconds, 4e8) * 1_000_000 - ROUNDING)) if seconds > 0 else 0


def permit_seconds(attempt: Attempt, now: float) -> float:
    """Return the time that an attempt may still take, with the waits that other gates may impose, and one second."""
    call = attempt.call
    until = call.deadline
    if call.attempt_deadline is not None:  # it is moved by the waits
        until = min(until, call.attempt_deadline + attempt.max_wait_seconds)
    return max(until - now + _GRACE_SECONDS, _STREAM_SECONDS if call.operation.stream else _GRACE_SECONDS)
