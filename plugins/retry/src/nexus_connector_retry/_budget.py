"""The retry budget: how many retries one process may add to the traffic of one service, as a pure value.

Retries against a vendor that fails multiply the load that made it fail. Each call therefore deposits a fraction of a
token, time adds a floor, and each retry takes a whole one, so that ``retries <= ratio * calls + floor * seconds``.
"""

from __future__ import annotations

from typing import Final

import attrs

KEPT_SECONDS: Final = 10.0
"""So many seconds of the floor are kept while nobody needs them."""
KEPT_CALLS: Final = 100.0
"""So many calls' deposits are kept beside them."""

_ROUNDING: Final = 1e-9
"""Ten deposits of 0.1 are one token, though their sum in binary is a little less."""


@attrs.frozen
class Budget:
    """What retries may still be made. A change comes back as a new value; `now` is in seconds, of any one clock.

    Attributes:
        ratio: Tokens that a call deposits, 0 to 1.
        floor_per_second: Tokens that a second adds, at least 0.
        at: When the floor was last added.
        tokens: Retries that may be made now.
        advance: Tokens of the floor that were given before their time; it adds none until they are made up for.

    >>> budget, granted = Budget.begin(0.1, 10.0, now=0.0).withdraw(now=0.0)
    >>> granted, budget.tokens
    (True, 9.0)
    """

    ratio: float
    floor_per_second: float
    at: float
    tokens: float
    advance: float

    @classmethod
    def begin(cls, ratio: float, floor_per_second: float, now: float) -> Budget:
        """Return the budget of a fresh process.

        The floor's first second is given in advance, and at least one token: the very first call may need a retry.
        """
        advance = max(1.0, floor_per_second) if floor_per_second > 0 else 0.0
        return cls(ratio, floor_per_second, now, advance, advance)

    @property
    def most(self) -> float:
        """The most tokens that are kept; at least one, else a small ratio could never save up for a retry."""
        return max(1.0, self.floor_per_second * KEPT_SECONDS + self.ratio * KEPT_CALLS)

    def deposit(self, now: float) -> Budget:
        """Return the budget after the first attempt of a call has begun."""
        at, tokens, advance = self._filled(now)
        return Budget(self.ratio, self.floor_per_second, at, min(self.most, tokens + self.ratio), advance)

    def can_withdraw(self, now: float) -> bool:
        """Say whether a retry could be made now."""
        return self._filled(now)[1] >= 1.0 - _ROUNDING

    def withdraw(self, now: float) -> tuple[Budget, bool]:
        """Return the budget after asking for one retry, and whether it may be made."""
        at, tokens, advance = self._filled(now)
        granted = tokens >= 1.0 - _ROUNDING
        left = max(0.0, tokens - 1.0) if granted else tokens
        return Budget(self.ratio, self.floor_per_second, at, left, advance), granted

    def _filled(self, now: float) -> tuple[float, float, float]:
        """Return `at`, `tokens` and `advance` with the floor of the time since."""
        # Threads read the clock before they take the lock: an older time must not let seconds count twice.
        at = max(self.at, now)
        gained = (at - self.at) * self.floor_per_second
        repaid = min(self.advance, gained)
        return at, min(self.most, self.tokens + gained - repaid), self.advance - repaid
