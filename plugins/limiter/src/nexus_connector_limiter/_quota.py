"""Quotas: what a limit like ``10/s`` says, and the pace that keeps it at the vendor's side. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import attrs

_FORM: Final = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,4})?(s|min|h|day)", re.ASCII)
_SECONDS: Final = {"s": 1, "min": 60, "h": 3_600, "day": 86_400}
_LONGEST_SECONDS: Final = 31 * 86_400
_CLOCK_US: Final = 1_000
"""Stores tell time in whole milliseconds: what they call the same moment may be so far apart."""
_SMALL: Final = 10
"""A smaller quota is spent one by one, evenly; from here on one token more is left unused than the burst takes."""
_LEASED_SECONDS: Final = 10
_LEASED_PER_SECOND: Final = 1_000
_LONGEST_LEASE_US: Final = 5_000_000


@attrs.frozen
class Quota:
    """So many calls in any window of this length.

    Attributes:
        text: As it was written.
        calls: How many.
        window_us: Length of the window in microseconds.

    >>> Quota.of("10/30s")
    Quota(text='10/30s', calls=10, window_us=30000000)
    """

    text: str
    calls: int
    window_us: int

    @classmethod
    def of(cls, text: str) -> Quota:
        """Read a quota: ``N/s``, ``N/min``, ``N/h``, ``N/day``, or of several of these, as ``N/30s``.

        Raises:
            ValueError: If it has another form, or is longer than 31 days.
        """
        match = _FORM.fullmatch(text.strip())
        seconds = 0 if match is None else int(match[2] or 1) * _SECONDS[match[3]]
        if match is None or seconds > _LONGEST_SECONDS:
            message = f"must be like 10/s, 600/min, 1000/h, 10000/day or 50/30s, of at most 31 days: {text!r}"
            raise ValueError(message)
        return cls(text.strip(), int(match[1]), seconds * 1_000_000)

    @property
    def may_be_leased(self) -> bool:
        """Whether processes may take several tokens at once: the window is long, or the rate high."""
        return self.is_fast or self.window_us >= _LEASED_SECONDS * 1_000_000

    @property
    def is_fast(self) -> bool:
        """Whether it admits so many calls a second that asking for each is felt, even in this process."""
        return self.calls * 1_000_000 >= _LEASED_PER_SECOND * self.window_us

    @property
    def lease_us(self) -> int:
        """How long tokens that a process took at once may be used."""
        if self.window_us >= _LEASED_SECONDS * 1_000_000:
            return min(self.window_us // 25, _LONGEST_LEASE_US)
        return self.window_us // 20

    def pace(self, cost: int, *, late_us: int, leased: bool = False, share: float = 1.0) -> tuple[int, int, int]:
        """Return how far a call moves the limit on, how far the limit may be ahead of it, and the limit's length.

        A call may pass once the limit is at most the second number ahead of the time; it then moves on by the first.
        With these, ``burst + rate x (window + late_us) <= calls``: no window at the vendor ever holds more, though
        each call may arrive up to `late_us` after its moment. A call that costs more than the burst waits for the rest
        before it, too; the second number is then below zero. All three are in microseconds.

        Args:
            cost: Tokens it takes, at least 1 and at most `calls`.
            late_us: How late it may be sent, in microseconds.
            leased: Whether tokens may be taken several at once, and used later.
            share: How much of the quota there is, above 0.

        >>> Quota.of("100/s").pace(1, late_us=50_000)
        (10617, 0, 1051000)
        """
        burst = max(1, self.calls * (4 if leased else 1) // 100)
        length = self.window_us + late_us + _CLOCK_US + (self.lease_us if leased else 0)
        if share < 1:
            burst, length = max(1, int(burst * share)), int(length / share) + 1
        token = length // self.calls + 1 if self.calls < _SMALL else -(-length // (self.calls - burst))
        return cost * token, (burst - cost) * token, length


def quotas(texts: Sequence[str]) -> tuple[Quota, ...]:
    """Read several quotas, each once.

    Raises:
        ValueError: If one has another form.
    """
    return tuple(dict.fromkeys(Quota.of(text) for text in texts))
