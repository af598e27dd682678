"""Health: which of several regions the next attempt goes to, decided from how the ones before went. Pure.

A region is *in use* until `failure_threshold` failures in a row, or an open circuit, make it *left*. Once its time is
over, one attempt at a time is a *trial*; if that one is answered, the region is in use again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import attrs


@attrs.frozen(kw_only=True)
class Place:
    """What is known about one region.

    Attributes:
        failures: Failures in a row, while it is in use.
        left_until: When it may be tried again; ``None``: it is in use.
        trial_until: Until when an attempt that tries it holds the trial; ``None``: nobody tries it.
        reason: Why it was left.
        generation: Raised whenever it is left, tried or in use again: what began before says nothing new.
    """

    failures: int = 0
    left_until: float | None = None
    trial_until: float | None = None
    reason: str = ""
    generation: int = 0

    def is_due(self, now: float, rest_seconds: float) -> bool:
        """Say whether it was left, its time and some rest are over, and nobody tries it just now."""
        return (
            self.left_until is not None
            and now >= self.left_until + rest_seconds
            and (self.trial_until is None or now >= self.trial_until)
        )


@attrs.frozen
class Choice:
    """Where an attempt goes.

    Attributes:
        index: Region, by its place in the order of preference.
        generation: Of that region, with this attempt; ``None``: what the attempt comes to says nothing.
        is_trial: Whether it tries a region that was left.
    """

    index: int
    generation: int | None
    is_trial: bool = False


@attrs.frozen(kw_only=True)
class Health:
    """What is known about all regions of a service, in order of preference. Every step returns a new value.

    Attributes:
        places: The regions.
        failure_threshold: Failures in a row after which a region is left.
        return_seconds: How long it is left alone.
    """

    places: tuple[Place, ...]
    failure_threshold: int
    return_seconds: float

    @classmethod
    def begin(cls, count: int, failure_threshold: int, return_seconds: float) -> Health:
        """Begin with all regions in use.

        >>> Health.begin(2, 5, 60.0).choose(0.0, failed=(), refused=(), may_try=True).index
        0
        """
        return cls(places=(Place(),) * count, failure_threshold=failure_threshold, return_seconds=return_seconds)

    def choose(self, now: float, *, failed: Sequence[int], refused: Collection[int], may_try: bool) -> Choice | None:
        """Choose the region of an attempt.

        Args:
            now: Seconds of a clock that never goes back.
            failed: Regions that failed this call already, the latest last.
            refused: Regions whose circuits refused this attempt.
            may_try: Whether the call can be made again elsewhere if a trial fails; if not, it leaves trials to others
                for as long again.

        Returns:
            The first region in order that is in use or due for a trial; those that failed the call come last. If there
            is none, the last resort: the one that would be due first may answer, and to refuse is a breaker's
            business. ``None``: all refused.
        """
        ranks = {index: failed.index(index) if index in failed else -1 for index in range(len(self.places))}
        open_to_it = sorted([index for index in ranks if index not in refused], key=ranks.__getitem__)
        for index in open_to_it:
            place = self.places[index]
            if place.left_until is None:
                return Choice(index, place.generation)
            if place.is_due(now, 0.0 if may_try else self.return_seconds):
                return Choice(index, place.generation + 1, is_trial=True)
        first = min(open_to_it, key=lambda index: (ranks[index], self.places[index].left_until or 0.0), default=None)
        return None if first is None else Choice(first, self.places[first].generation)

    def stay(self, index: int) -> Choice:
        """Choose a region for something that cannot leave it: what that comes to counts while the region is in use."""
        place = self.places[index]
        return Choice(index, place.generation if place.left_until is None else None)

    def is_late(self, choice: Choice) -> bool:
        """Say whether the region was left, tried or in use again since the choice was made."""
        return choice.generation != self.places[choice.index].generation

    def trying(self, choice: Choice, until: float) -> Health:
        """Give the trial of a region to the attempt that chose it, at the latest until then."""
        place = self.places[choice.index]
        return self._with(choice, attrs.evolve(place, trial_until=until, generation=place.generation + 1))

    def answered(self, choice: Choice) -> Health:
        """Hear that a region answered: it is in use."""
        place = self.places[choice.index]
        if self.is_late(choice) or (place.left_until is None and not place.failures):
            return self
        return self._with(choice, Place(generation=place.generation + (place.left_until is not None)))

    def failed(self, choice: Choice, now: float) -> Health:
        """Hear that a region failed: at the threshold, or in its trial, it is left."""
        place = self.places[choice.index]
        failures = place.failures + 1
        if self.is_late(choice):
            return self
        if place.left_until is None and failures < self.failure_threshold:
            return self._with(choice, attrs.evolve(place, failures=failures))
        reason = "its trial failed" if choice.is_trial else f"{failures} failures in a row"
        return self._leave(choice, now + self.return_seconds, reason)

    def shut(self, choice: Choice, now: float, seconds: float) -> Health:
        """Hear that the circuit of a region is open for so long: it is left until then."""
        return self._leave(choice, now + seconds, "circuit open")

    def rest(self, choice: Choice, now: float, seconds: float) -> Health:
        """Hear that a region asks not to be used for so long: it is left until then."""
        return self._leave(choice, now + seconds, "it asked for patience")

    def has_other(self, failed: Collection[int]) -> bool:
        """Say whether a region is in use that has not failed a call."""
        return any(place.left_until is None and index not in failed for index, place in enumerate(self.places))

    def learned_nothing(self, choice: Choice) -> Health:
        """Hear that an attempt ended and says nothing about the region: the next one may try it."""
        if not choice.is_trial or self.is_late(choice):
            return self
        return self._with(choice, attrs.evolve(self.places[choice.index], trial_until=None))

    def _leave(self, choice: Choice, until: float, reason: str) -> Health:
        place = self.places[choice.index]
        if self.is_late(choice):
            return self
        if place.left_until is not None and not choice.is_trial:  # the last resort: who tries it goes on
            return self._with(choice, attrs.evolve(place, left_until=until))
        return self._with(choice, Place(left_until=until, reason=reason, generation=place.generation + 1))

    def _with(self, choice: Choice, place: Place) -> Health:
        return attrs.evolve(self, places=(*self.places[: choice.index], place, *self.places[choice.index + 1 :]))
