"""The plugin: what the entry point names."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nexus_connector.conditions import CircuitChanged
from nexus_connector.gates import Gate
from nexus_connector.hooks import hookimpl
from nexus_connector.plugins import Plugin
from nexus_connector.setup import ServiceSetup

from ._gate import BreakerGate
from ._options import BreakerOptions
from ._refusals import place_of

if TYPE_CHECKING:
    import click


class _Breaker:
    """The hooks of the plugin. What it does differs by service, so that it keeps nothing itself."""

    @hookimpl
    def gates(self, config: ServiceSetup) -> Sequence[Gate] | None:
        options = config.of(BreakerOptions)
        if options is None or options.mode == "disabled":
            return None
        groups = {name: endpoint.group for name, endpoint in config.config.endpoints.items() if endpoint.group}
        return [BreakerGate(config.name, options, groups=groups, store=config.shared, now=config.now)]

    @hookimpl
    def on_circuit_change(self, event: CircuitChanged) -> None:
        _log_change(event)

    @hookimpl
    def cli_commands(self, group: click.Group) -> None:
        from ._command import add_command  # here: click and rich are there where the command line is

        add_command(group)


def _log_change(event: CircuitChanged) -> None:
    """Log a transition to ``nexus_connector.SERVICE``: opened is a warning, the rest is information."""
    opened = event.new == "open"
    period = "until it is closed by hand" if math.isinf(event.open_seconds) else f"for {event.open_seconds:g} s"
    words = f"opened {period}" if opened else {"half_open": "is half open"}.get(event.new, "closed")
    facts = ("service", "region", "group", "old", "new", "reason", "open_seconds", "call_id")
    logging.getLogger(f"nexus_connector.{event.service}").log(
        logging.WARNING if opened else logging.INFO,
        "the circuit of %s%s %s: %s",
        event.service,
        place_of(event.region, event.group),
        words,
        event.reason,
        extra={name: getattr(event, name) for name in facts},
    )


plugin: Plugin[BreakerOptions] = Plugin(name="breaker", factory=lambda _: _Breaker(), config=BreakerOptions)
"""What the entry point names."""
