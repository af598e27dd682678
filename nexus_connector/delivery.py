"""Delivery: hands records to the sink hooks and events to the receivers, each on its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .events import Event
    from .hooks import Hook
    from .records import IntegrationLog
    from .signals import Signals

_log = logging.getLogger("nexus_connector.delivery")


class Delivery:
    """Who hears of what happened.

    Args:
        hooks: store_log implementations.
        circuit_hooks: on_circuit_change implementations.
        signals: Receivers.
        wall: The time of day.
    """

    def __init__(
        self, hooks: Sequence[Hook], circuit_hooks: Sequence[Hook], signals: Signals, wall: Callable[[], datetime]
    ) -> None:
        self.hooks = tuple(hooks)
        self._circuit_hooks = tuple(circuit_hooks)
        if circuit_hooks:
            from .conditions import CircuitChanged

            signals.want(CircuitChanged)
        self._signals = signals
        self._wall = wall

    def deliver_records(self, records: Sequence[IntegrationLog]) -> None:
        """Hand records to the store_log hooks; what one raises concerns neither the others nor the calls."""
        for hook in self.hooks:
            own = [record for record in records if hook.concerns(record.service_name)]
            if not own:
                continue
            try:
                hook.function(own)
            except Exception as error:  # whatever a sink raises is told, never passed on
                self._sink_failed(hook, error, f"on {len(own)} records")

    def deliver_event(self, event: Event) -> None:
        """Hand an event to the hooks that are written for it, then to its receivers."""
        if self._circuit_hooks:
            from .conditions import CircuitChanged

            if isinstance(event, CircuitChanged):
                for hook in self._circuit_hooks:
                    self._tell(hook, event)
        self._signals.deliver(event)

    def _tell(self, hook: Hook, event: Event) -> None:
        if not hook.concerns(event.service):
            return
        try:
            hook.function(event)
        except Exception as error:  # whatever a sink raises is told, never passed on
            self._sink_failed(hook, error, f"on {type(event).__name__}")

    def deliver_dropped(self, records: int, events: int) -> None:
        """Tell that a full queue cost records or events."""
        from .conditions import RecordsDropped

        _log.error("the queue was full: %d records and %d events were dropped", records, events)
        self._signals.deliver(RecordsDropped(service="", call_id=None, at=self._wall(), records=records, events=events))

    def _sink_failed(self, hook: Hook, error: Exception, what: str) -> None:
        from .conditions import PluginFailed

        _log.error("%s.%s raised %s", hook.plugin, hook.name, what, exc_info=error)
        message = f"raised {type(error).__name__} {what}"
        at = self._wall()
        self._signals.deliver(
            PluginFailed(service="", call_id=None, at=at, plugin=hook.plugin, hook=hook.name, message=message)
        )
