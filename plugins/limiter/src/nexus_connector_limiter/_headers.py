"""Headers: what a vendor says is left of its limit. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nexus_connector.retry_after import parse_reset

if TYPE_CHECKING:
    from nexus_connector.adapter import LimitHeaders
    from nexus_connector.headers import Headers

_COUNT: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_MOST: Final = 1_000_000_000


def read_left(headers: Headers, names: LimitHeaders, *, wall: float) -> tuple[int, float] | None:
    """Return the calls that are left and the seconds until they are more again; ``None``: the vendor does not say.

    Args:
        headers: Those of an answer.
        names: What the vendor calls them.
        wall: The time of day, seconds since the epoch.
    """
    left, reset = (headers.get(name) or "" for name in (names.remaining, names.reset))
    seconds = parse_reset(reset, names.form, now=wall)
    if not _COUNT.fullmatch(left.strip()) or not seconds:
        return None
    return min(int(left), _MOST), seconds
