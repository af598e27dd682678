"""Setup: what a plugin is given when it joins the chain of one service."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

import attrs

if TYPE_CHECKING:
    from .adapter import Vendor
    from .config import ServiceConfig
    from .events import Event
    from .state import Store

C = TypeVar("C")


@attrs.frozen(kw_only=True)
class ServiceSetup:
    """One service, as build hooks see it.

    Attributes:
        name: Name of the service.
        config: Its core options, the adapter's defaults merged in.
        vendor: What its adapter knows of the vendor; ``None`` for any HTTP API.
        shared: Store of limits, circuits and permits.
        durable: Store of what must survive the process; ``None``: none is configured.
        max_inline_wait_seconds: Longest wait that a vendor or limit may impose inside a call.
        now: The runtime's clock, seconds that never go back; virtual in tests.
        emit: Tells receivers of something that happens outside of a call.
        options: Finds a plugin's options by their class; use `of`.
    """

    name: str
    config: ServiceConfig
    vendor: Vendor | None = None
    shared: Store
    durable: Store | None = None
    max_inline_wait_seconds: float
    now: Callable[[], float]
    emit: Callable[[Event], None]
    options: Callable[[type], object] = attrs.field(repr=False)

    def of(self, kind: type[C]) -> C | None:
        """Return the plugin's own options for this service, by their class; ``None``: switched off here."""
        return cast("C | None", self.options(kind))
