"""Conditions: events about lasting states, of circuits, regions, credentials, stores, queues and plugins."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import attrs

from .events import Event

CircuitState = Literal["closed", "open", "half_open", "disabled"]


@attrs.frozen(kw_only=True)
class CircuitChanged(Event):
    """The circuit of a service changed its state.

    Attributes:
        region: Region whose circuit it is.
        group: Group of operations whose circuit it is (``endpoints.NAME.group``); empty: those without one.
        old: State before.
        new: State now.
        reason: Why, as ``5 consecutive failures``.
        open_seconds: How long it stays open, infinite for one held open by hand; 0 unless it opened.
    """

    region: str | None
    group: str
    old: CircuitState
    new: CircuitState
    reason: str
    open_seconds: float


@attrs.frozen(kw_only=True)
class FailedOver(Event):
    """An attempt goes to another region than the one before.

    Attributes:
        old: Region left.
        new: Region taken.
        reason: Why.
    """

    old: str
    new: str
    reason: str


@attrs.frozen(kw_only=True)
class CredentialsRefreshed(Event):
    """New credentials were obtained.

    Attributes:
        expires_at: When they expire; ``None``: not known.
    """

    expires_at: datetime | None


@attrs.frozen(kw_only=True)
class CredentialsRefreshFailed(Event):
    """Credentials could not be refreshed.

    Attributes:
        message: Why, redacted.
        valid_seconds: How long the old ones are still good; 0: they are not.
    """

    message: str
    valid_seconds: float


@attrs.frozen(kw_only=True)
class StoreDegraded(Event):
    """A shared store does not answer; plugins go on with local state.

    Attributes:
        store: Its URL, redacted.
        message: Why, redacted.
    """

    store: str
    message: str


@attrs.frozen(kw_only=True)
class StoreRecovered(Event):
    """A shared store answers again.

    Attributes:
        store: Its URL, redacted.
        degraded_seconds: How long it did not.
    """

    store: str
    degraded_seconds: float


@attrs.frozen(kw_only=True)
class RecordsDropped(Event):
    """Records or events were lost because their queue was full.

    Attributes:
        records: Records lost since the last such event.
        events: Events lost since the last such event.
    """

    records: int
    events: int


@attrs.frozen(kw_only=True)
class HealthChanged(Event):
    """The health of a service changed.

    Attributes:
        healthy: What it is now.
        message: Why.
    """

    healthy: bool
    message: str


@attrs.frozen(kw_only=True)
class AlertRaised(Event):
    """A rule over metrics holds, or holds no longer.

    Attributes:
        name: Name of the rule.
        metric: What it looks at.
        value: What it saw.
        recovered: Whether it holds no longer.
    """

    name: str
    metric: str
    value: float
    recovered: bool


@attrs.frozen(kw_only=True)
class PluginFailed(Event):
    """A sink hook or receiver raised; the call it heard of is not affected.

    Attributes:
        plugin: Plugin or receiver that raised.
        hook: Hook, or class of the event.
        message: What it raised, redacted.
    """

    plugin: str
    hook: str
    message: str
