"""The view: what one process knows of a circuit, and what it has not told the store yet."""

from __future__ import annotations

import math
import threading
from typing import Final

import attrs

from nexus_connector.state import Key

from ._machine import HELD, NOTHING, Reply, Result, Rules, predicted

_NEVER: Final = -math.inf
_LAST_SECONDS: Final = 0.0005
"""The last half of its millisecond is the store's to judge: its clock counts in whole ones."""
_OPEN_SECONDS: Final = 1.0
"""How long an open circuit is believed to be open without asking again; somebody may close it by hand."""


@attrs.frozen
class Known:
    """What was last seen of a circuit, in the time of this process.

    Attributes:
        seen: The store's words.
        until: When the open time, or the lease of the probe, ends; infinite: when somebody closes it.
        asked: When the store was asked for it: it is as old as that.
        at: When the answer was there.
        alone: Whether it is this process's own, because the store failed.
        closed: Whether the circuit is closed.
    """

    seen: Reply
    until: float
    asked: float
    at: float
    alone: bool = False
    closed: bool = attrs.field(init=False, default=attrs.Factory(lambda self: self.seen.phase == "closed", True))

    def left(self, now: float) -> float:
        """Return for how many seconds it goes on; infinite if nobody knows."""
        return max(0.0, self.until - now)


@attrs.define(eq=False)
class Untold:
    """Successes of which the store has yet to hear, and the post that tells it of them unless a question does.

    Attributes:
        generation: Generation under which they were admitted.
        is_there: Whether there are any; not if a question took them along.
        is_posted: Whether the post tells of any; ``None``: it has not been made yet.
    """

    generation: int
    is_there: bool = True
    is_posted: bool | None = None


@attrs.define
class _Sums:
    """Successes that the store has not heard of yet."""

    generation: int
    since: float
    ok: int = 0
    slow: int = 0


class View:
    """One circuit as this process sees it. Threads share it.

    Args:
        region: Region; ``None``: none.
        group: Group of operations; empty: those without one.
        place: Both, as texts call them.
        key: Its key in the store.

    Attributes:
        known: What was last seen of it.
    """

    def __init__(self, region: str | None, group: str, *, place: str, key: Key) -> None:
        self.region = region
        self.group = group
        self.place = place
        self.key = key
        self.known = Known(Reply("closed", "closed", 0, 0, 0, 0, ""), until=_NEVER, asked=_NEVER, at=_NEVER)
        self._sums: _Sums | None = None
        self._untold: Untold | None = None
        self._ahead = 0
        self._lock = threading.Lock()

    def holds(self, now: float, snapshot_seconds: float) -> bool:
        """Say whether what was seen is still so.

        Args:
            now: The time.
            snapshot_seconds: How long it is believed; an open circuit is for a second.
        """
        known = self.known
        if known.closed:
            return now - known.asked < snapshot_seconds
        if known.until - now < _LAST_SECONDS:
            return False
        patience = _OPEN_SECONDS if known.seen.phase == "open" and not known.alone else snapshot_seconds
        return now - known.asked < patience

    def learn(self, seen: Reply, *, asked: float, now: float, alone: bool) -> bool:
        """Keep the newer of what is known and what was seen; threads bring their replies in any order.

        Returns:
            Whether the store is back: what was known was this process's own.
        """
        until = asked + left_seconds(seen)
        with self._lock:
            known = self.known
            is_later = seen.generation - known.seen.generation if alone == known.alone else 0
            if is_later > 0 or asked > known.at or (asked == known.at and is_later == 0):
                self.known = Known(seen, until, asked, now, alone)
                return known.alone and not alone
            if alone == known.alone and is_later == 0 and seen.failures > known.seen.failures:
                # Which of the two is newer cannot be told. A failure too many costs one write, one too few a trip.
                self.known = attrs.evolve(known, seen=attrs.evolve(known.seen, failures=seen.failures))
            return False

    def foresee(self, result: Result, rules: Rules, now: float) -> None:
        """Act on a result that the store will hear of later. What was seen of others gets no younger by it."""
        if self.known.closed and not (result.failed or self.known.seen.failures):
            return  # as ever
        with self._lock:
            known = self.known
            seen = predicted(known.seen, result, rules)
            changes = seen.phase != known.seen.phase
            self.known = Known(
                seen,
                until=now + left_seconds(seen),
                asked=now if changes else known.asked,
                at=math.nextafter(now, _NEVER),  # older than any reply to it
            )

    def sum_up(self, generation: int, now: float, *, failed: bool, slow: int, patience_seconds: float) -> Result | None:
        """Sum successes up; return what the store must hear: a failure, a row's end, or what has waited long enough."""
        with self._lock:
            sums = self._sums
            if sums is None or sums.generation != generation:
                sums = self._sums = _Sums(generation, since=now)
            if not failed:
                sums.ok += 1
                sums.slow += slow
                if not self.known.seen.failures and now - sums.since < patience_seconds:
                    return None
            self._sums = None
        age_ms = max(0, round((now - sums.since) * 1000))
        return Result(generation, sums.ok, sums.slow, age_ms, int(failed), slow if failed else 0)

    def wait_for_post(self, generation: int) -> Untold:
        """Leave a success for a post that is made now."""
        with self._lock:
            self._untold = untold = Untold(generation)
        return untold

    def leave(self, generation: int) -> bool:
        """Leave a success for a post that is on its way; return whether there is one."""
        with self._lock:
            untold = self._untold
            if untold is None or untold.generation != generation:
                return False
            untold.is_there = True
            return True

    def take_along(self) -> int:
        """Take what was left, for a question that is about to be asked; return its generation, or `NOTHING`.

        What comes before it must have reached the store: a success would end a row of failures that begins with them.
        If the question gets no answer it is lost, and the row of others goes on until the next one.
        """
        if self._untold is None:  # as for every store that does not block
            return NOTHING
        with self._lock:
            untold = self._untold
            if untold is None or not untold.is_there or self._ahead:
                return NOTHING
            untold.is_there = False
            return untold.generation

    def send(self, untold: Untold) -> bool:
        """Make a post, which speaks for nothing that comes later; return whether there is anything to tell."""
        with self._lock:
            if untold is self._untold:
                self._untold = None
            untold.is_posted = untold.is_there  # from here on nobody changes that
            return untold.is_posted

    def go_ahead(self) -> None:
        """Hear that a result is posted for which no success speaks, nor for what comes before it."""
        with self._lock:
            self._untold = None
            self._ahead += 1

    def arrive(self) -> None:
        """Hear that such a result has reached the store, or never will."""
        with self._lock:
            self._ahead -= 1


def left_seconds(seen: Reply) -> float:
    """Return how long it goes on, in seconds; infinite if it is held open by hand."""
    return math.inf if seen.left_ms == HELD else seen.left_ms / 1000
