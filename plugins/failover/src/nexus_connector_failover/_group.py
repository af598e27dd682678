"""The regions as one group of operations knows them: their health behind a lock, and where its calls go at present."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

import attrs

from ._health import Choice, Health


@attrs.frozen(kw_only=True)
class Move:
    """An attempt goes elsewhere than the one before.

    Attributes:
        old: Region left.
        new: Region taken.
        reason: Why.
    """

    old: int
    new: int
    reason: str


@attrs.define
class Course:
    """What one call has been through.

    Attributes:
        last: Region of its last attempt; ``None``: there was none.
        reason: What speaks against that region; empty: nothing.
        failed: Regions that failed it, the latest last.
        bound: The only region that knows its key, and where it may have happened; ``None``: it may go anywhere.
    """

    last: int | None = None
    reason: str = ""
    failed: list[int] = attrs.field(factory=list[int])
    bound: int | None = None


class Group:
    """Shared by the calls of one group of operations in one process; the lock is held for arithmetic only.

    Args:
        health: The regions, as they begin.
    """

    def __init__(self, health: Health) -> None:
        self._health = health
        self._current = 0
        self._lock = threading.Lock()

    def choose(
        self, course: Course, now: float, until: float, *, refused: Collection[int], may_try: bool
    ) -> Choice | None:
        """Choose the region of an attempt, and take the trial if it is one.

        Args:
            course: What the call has been through.
            now: Seconds of a clock that never goes back.
            until: When the call has ended at the latest, on the same clock.
            refused: Regions whose circuits refused this attempt.
            may_try: Whether the call can be made again elsewhere if a trial fails.

        Returns:
            The choice; ``None``: every region that it may go to refused.
        """
        with self._lock:
            if course.bound is not None:
                return None if course.bound in refused else self._health.stay(course.bound)
            choice = self._health.choose(now, failed=course.failed, refused=refused, may_try=may_try)
            if choice is not None and choice.is_trial:
                self._health = self._health.trying(choice, until)
            return choice

    def depart(self, course: Course, choice: Choice) -> Move | None:
        """Hear that an attempt is sent now.

        The first one of a call is compared with where the calls of the group go at present, a later one with the one
        before it in its own call.

        Args:
            course: What the call has been through.
            choice: Where the attempt goes.

        Returns:
            The move to be told; ``None``: it is none.
        """
        with self._lock:
            first, late = course.last is None, self._health.is_late(choice)
            old = self._current if course.last is None else course.last
            course.last = choice.index
            if choice.index == old or (first and late):  # chosen before the others moved
                return None
            left = self._health.places[old]
            if first or choice.is_trial or left.left_until is not None:
                self._current = choice.index
            ordinary = "it is tried again" if choice.is_trial else left.reason or "it is preferred"
            return Move(old=old, new=choice.index, reason=course.reason or ordinary)

    def has_other(self, course: Course) -> bool:
        """Say whether a call can go on in a region that has not failed it."""
        with self._lock:
            return course.bound is None and self._health.has_other(course.failed)

    def learn(self, step: Callable[[Health], Health]) -> None:
        """Hear how an attempt went."""
        with self._lock:
            self._health = step(self._health)
