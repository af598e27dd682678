"""Budgets: what may be spent in a calendar window, and which window it is now. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import attrs

_FORM: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)/(min|h|day|month)", re.ASCII)
_SECONDS: Final = {"min": 60, "h": 3_600, "day": 86_400}
_UNITS: Final = 1_000_000


def units(cost: float) -> int:
    """Return a cost in millionths, in which ledgers count: sums of them are exact.

    >>> units(0.25)
    250000
    """
    return round(cost * _UNITS)


@attrs.frozen
class Budget:
    """So much cost in each calendar window, in UTC.

    Attributes:
        text: As it was written.
        amount: How much, in millionths.
        period: ``min``, ``h``, ``day`` or ``month``.

    >>> Budget.of("5000/day").amount
    5000000000
    """

    text: str
    amount: int
    period: str

    @classmethod
    def of(cls, text: str) -> Budget:
        """Read a budget: ``N/min``, ``N/h``, ``N/day`` or ``N/month``; N may have a fraction.

        Raises:
            ValueError: If it has another form, or is nothing.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None or not float(match[1]):
            message = f"must be like 5000/day, 100.50/h or 20000/month: {text!r}"
            raise ValueError(message)
        return cls(text.strip(), units(float(match[1])), match[2])

    def window(self, now: datetime) -> tuple[int, int]:
        """Return the number of the window that it is now, and the milliseconds that are left of it.

        Args:
            now: The time of day, in UTC.

        >>> from datetime import UTC
        >>> Budget.of("5/h").window(datetime(1970, 1, 1, 2, 59, 59, tzinfo=UTC))
        (2, 1000)
        """
        if self.period == "month":
            first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            left = (first + timedelta(days=32)).replace(day=1) - now
            return now.year * 12 + now.month, max(1, round(left.total_seconds() * 1000))
        length, moment = _SECONDS[self.period] * 1000, int(now.timestamp() * 1000)
        return moment // length, length - moment % length


def budgets(texts: Sequence[str]) -> tuple[Budget, ...]:
    """Read several budgets, each once.

    Raises:
        ValueError: If one has another form.
    """
    return tuple(dict.fromkeys(Budget.of(text) for text in texts))
