"""The breaker plugin: a vendor that is down is left alone until one probe finds it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._options import BreakerOptions
from ._plugin import plugin

if TYPE_CHECKING:
    from ._by_hand import set_circuit
    from ._status import Circuit, circuits

__all__ = ["BreakerOptions", "Circuit", "circuits", "plugin", "set_circuit"]

if not TYPE_CHECKING:  # a checker would take every name for one of this package

    def __getattr__(name: str) -> object:
        """Import what a person asks for with; a connector at work, which loads this package, needs none of it."""
        if name not in {"Circuit", "circuits", "set_circuit"}:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import _by_hand

        found = globals()[name] = getattr(_by_hand, name)
        return found
