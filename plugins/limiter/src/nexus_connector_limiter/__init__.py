"""The limiter plugin: rate limits that hold at the vendor, across processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._options import LimiterOptions, ResetHeaders
from ._plugin import plugin

if TYPE_CHECKING:
    from ._status import Limit, limits

__all__ = ["Limit", "LimiterOptions", "ResetHeaders", "limits", "plugin"]

if not TYPE_CHECKING:  # a checker would take every name for one of this package

    def __getattr__(name: str) -> object:
        """Import what a person asks with; a connector at work, which loads this package, needs none of it."""
        if name not in {"Limit", "limits"}:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import _status

        found = globals()[name] = getattr(_status, name)
        return found
