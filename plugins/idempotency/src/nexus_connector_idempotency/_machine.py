"""The claim's machine: in flight, done, unknown, and the steps between them, as pure functions on plain data.

A claim that is not there is free. A state is a list: phase, generation, until when its lease runs, until when it is
kept, the call that holds it, the fingerprint of its arguments, when it was first claimed, whether it may be sent again,
whether an earlier holder may have sent it, and what is kept: an answer, or what is known of an unknown outcome. Times
are the store's, in milliseconds. Every holder has a generation, and only the holder of the newest one may say what
became of the claim: what comes late finds another one and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias, cast

import attrs

from nexus_connector.state import AtomicOp, Plain

Step: TypeAlias = tuple[Plain, int, Plain]
Phase: TypeAlias = Literal["in_flight", "done", "unknown"]
Word: TypeAlias = Literal["free", "granted", "in_flight", "unknown", "done", "conflict"]
Ending: TypeAlias = Literal["done", "unknown", "released", "refused"]
"""What its holder says of a claim: released, nothing was sent; refused, the vendor says that nothing happened."""

ANY_GENERATION: Final = 0
"""Stands for the generation where a caller never heard which one it was given."""


@attrs.frozen
class Wish:
    """What a call asks for.

    Attributes:
        call_id: The call.
        fingerprint: Of its arguments.
        lease_ms: How long it may be under way.
        resend_ms: For how long after the first claim an unknown outcome may be sent again; 0: never.
        keep_ms: How long the claim stays if nobody ever says what became of it.
    """

    call_id: str
    fingerprint: str
    lease_ms: int
    resend_ms: int
    keep_ms: int


@attrs.frozen
class Reply:
    """A claim as the one who asks may take it.

    Attributes:
        word: What it is for them: free, granted, in flight, unknown, done, or in conflict.
        generation: Generation of its holder.
        left_ms: How long the lease of its holder still runs.
        age_ms: How long ago it was first claimed.
        call_id: Its holder; empty if it is free.
        doubt: Whether an earlier holder may have sent it.
        kept: The answer, or what is known of an unknown outcome; of one that was granted, who held it before.
    """

    word: Word
    generation: int = 0
    left_ms: int = 0
    age_ms: int = 0
    call_id: str = ""
    doubt: bool = False
    kept: Plain = None


@attrs.frozen
class _State:
    phase: Phase
    generation: int
    until_ms: int
    kept_until_ms: int
    call_id: str
    fingerprint: str
    first_ms: int
    resendable: bool
    doubt: bool
    kept: Plain = None

    def is_open(self, now_ms: int) -> bool:
        """Say whether nobody is at it and nobody knows what became of it."""
        return self.phase == "unknown" or (self.phase == "in_flight" and now_ms >= self.until_ms)


def claim(plain: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    """Claim a key: what is free is granted, and so is an unknown outcome that may be sent again.

    Args:
        plain: The state.
        now_ms: The store's time.
        args: The fields of a `Wish`.
    """
    state, wish = _state(plain), Wish(*cast("Sequence[Any]", args))
    word = _word(state, now_ms, wish.fingerprint, wish.resend_ms)
    if word != "free":
        return _unchanged(plain, state, now_ms, word)
    held = _State(
        phase="in_flight",
        generation=1 if state is None else state.generation + 1,
        until_ms=now_ms + wish.lease_ms,
        kept_until_ms=now_ms + wish.lease_ms + wish.keep_ms,
        call_id=wish.call_id,
        fingerprint=wish.fingerprint,
        first_ms=now_ms if state is None else state.first_ms,
        resendable=wish.resend_ms > 0,
        doubt=state is not None,
    )
    before = None if state is None else state.call_id
    return _changed(held, now_ms, _reply(attrs.evolve(held, kept=before), now_ms, "granted"))


def look(plain: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    """Read a claim and change nothing.

    Args:
        plain: The state.
        now_ms: The store's time.
        args: Fingerprint and ``resend_ms`` of a wish; without them it is never free nor in conflict while it is there.
    """
    state = _state(plain)
    fingerprint, resend_ms = cast("tuple[str, int]", args) if args else (None, 0)
    return _unchanged(plain, state, now_ms, _word(state, now_ms, fingerprint, resend_ms))


def finish(plain: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    """Say what became of a claim; replies ``done``, ``unknown``, ``free``, or ``gone`` to who does not hold it.

    A release by somebody who took an unknown outcome over leaves it unknown: the one before may have sent it.

    Args:
        plain: The state.
        now_ms: The store's time.
        args: Call, its generation or `ANY_GENERATION`, ending, what is to be kept, for how many milliseconds if done;
            0: not at all.
    """
    call_id, generation, ending, kept, keep_ms = cast("tuple[str, int, Ending, Plain, int]", args)
    state = _state(plain)
    if state is None:
        return None, 0, "gone"
    is_holder = state.call_id == call_id and generation in {ANY_GENERATION, state.generation}
    if state.phase == "done" or not is_holder:
        return plain, _left(state, now_ms), "gone"
    if ending == "refused" or (ending == "released" and not state.doubt) or (ending == "done" and keep_ms == 0):
        return None, 0, "free"
    if ending == "done":
        return _changed(_done(state, now_ms, kept, keep_ms), now_ms, "done")
    return _changed(attrs.evolve(state, phase="unknown", kept=kept), now_ms, "unknown")


def settle(plain: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    """Take somebody's word for what became of an unknown outcome; replies ``settled``, ``in_flight`` or ``gone``.

    Args:
        plain: The state.
        now_ms: The store's time.
        args: Call that holds it, what is to be kept if it was done, else ``None``, and for how many milliseconds.
    """
    call_id, kept, keep_ms = cast("tuple[str, Plain, int]", args)
    state = _state(plain)
    if state is None:
        return None, 0, "gone"
    if state.call_id != call_id or state.phase == "done":
        return plain, _left(state, now_ms), "gone"
    if not state.is_open(now_ms):
        return plain, _left(state, now_ms), "in_flight"
    if kept is None:
        return None, 0, "settled"
    return _changed(_done(state, now_ms, kept, keep_ms), now_ms, "settled")


CLAIM: Final = AtomicOp(name="idempotency.claim", version=1, py=claim)
LOOK: Final = AtomicOp(name="idempotency.look", version=1, py=look)
FINISH: Final = AtomicOp(name="idempotency.finish", version=1, py=finish)
SETTLE: Final = AtomicOp(name="idempotency.settle", version=1, py=settle)


def reply_of(plain: Plain) -> Reply:
    """Read a reply of `claim` or `look`."""
    return Reply(*cast("Sequence[Any]", plain))


def _state(plain: Plain) -> _State | None:
    return None if plain is None else _State(*cast("Sequence[Any]", plain))


def _word(state: _State | None, now_ms: int, fingerprint: str | None, resend_ms: int) -> Word:
    """Say what a claim is for somebody with these arguments."""
    if state is None:
        return "free"
    if fingerprint is not None and fingerprint != state.fingerprint:
        return "conflict"
    if state.phase == "done":
        return "done"
    if not state.is_open(now_ms):
        return "in_flight"
    # Both must have sent the key: a vendor that never saw it cannot recognise it.
    may_resend = state.resendable and now_ms - state.first_ms < resend_ms
    return "free" if may_resend else "unknown"


def _done(state: _State, now_ms: int, kept: Plain, keep_ms: int) -> _State:
    return attrs.evolve(state, phase="done", kept_until_ms=now_ms + keep_ms, doubt=False, kept=kept)


def _reply(state: _State, now_ms: int, word: Word) -> Plain:
    left_ms = max(0, state.until_ms - now_ms) if state.phase == "in_flight" else 0
    age_ms = max(0, now_ms - state.first_ms)
    return [word, state.generation, left_ms, age_ms, state.call_id, state.doubt, state.kept]


def _unchanged(plain: Plain, state: _State | None, now_ms: int, word: Word) -> Step:
    if state is None:
        return None, 0, [word]
    return plain, _left(state, now_ms), _reply(state, now_ms, word)


def _changed(state: _State, now_ms: int, reply: Plain) -> Step:
    return list(attrs.astuple(state, recurse=False)), _left(state, now_ms), reply


def _left(state: _State, now_ms: int) -> int:
    """Return how long a state still lives; looking at it gives it no more time."""
    return max(1, state.kept_until_ms - now_ms)
