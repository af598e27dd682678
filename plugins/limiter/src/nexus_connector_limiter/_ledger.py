"""The ledger of budgets: what has been spent in each calendar window, as steps on plain data.

A state is a list of rows: name of the budget, window, units spent. Windows are numbered by the one that asks, on the
clock that calendars follow; a number never goes back, so that clocks which disagree around midnight forget nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from nexus_connector.state import Plain

from ._state import Step

KEPT_MS: Final = 86_400_000
"""Kept for so long after the end of the window: who settles late still finds it."""


def reserve(plain: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    """Spend from all budgets, or from none if one has not enough left.

    The reply: the budget that has not enough, empty if all have; milliseconds until its window ends; the windows.

    Args:
        plain: The state.
        now_ms: The store's time.
        args: Units; for each budget its name, window, milliseconds until that ends, and its amount.
    """
    cost, budgets = cast("Sequence[Any]", args)
    rows = [list(row) for row in cast("Sequence[Any]", plain or ())]
    full, wait, lasts = "", 0, 0
    mine = [_row(rows, name, window) for name, window, _, _ in budgets]
    for row, (name, _, left_ms, amount) in zip(mine, budgets, strict=True):
        lasts = max(lasts, left_ms)
        if row[2] + cost > amount and left_ms > wait:
            full, wait = name, left_ms
    for row in mine:
        if not full:
            row[2] += cost
    return rows, lasts + KEPT_MS, [full, wait, [row[1] for row in mine]]


def settle(plain: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    """Correct what was reserved, where its window still counts.

    Args:
        plain: The state.
        now_ms: The store's time.
        args: Units to add, below 0 to give back; name and window of each budget; milliseconds until the last one ends.
    """
    if plain is None:
        return None, 0, 0
    more, windows, lasts = cast("Sequence[Any]", args)
    rows = [list(row) for row in cast("Sequence[Any]", plain)]
    for row in rows:
        if [row[0], row[1]] in [list(window) for window in windows]:
            row[2] = max(0, row[2] + more)
    return rows, lasts + KEPT_MS, 0


def read(plain: Plain, now_ms: int, args: Sequence[Plain]) -> Step:
    """Read what has been spent and change nothing: name of each budget, window, units."""
    return plain, KEPT_MS * 32, list(cast("Sequence[Plain]", plain or ()))


def _row(rows: list[list[Any]], name: str, window: int) -> list[Any]:
    for row in rows:
        if row[0] == name:
            if row[1] < window:
                row[1:] = [window, 0]
            return row
    rows.append([name, window, 0])
    return rows[-1]
