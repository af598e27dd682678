"""Refusals: what a caller is told whose call an open circuit does not let through."""

from __future__ import annotations

import math
from typing import Final

from nexus_connector.errors import CircuitOpenError

from ._machine import Reply

ROUNDING: Final = 1e-9
"""Differences of clock readings are wrong by less than this; a whole number of milliseconds must stay one."""


def refused(service: str, place: str, seen: Reply, left: float) -> CircuitOpenError:
    """Return the error for a circuit that is open, or lets a probe through just now.

    Args:
        service: Name of the service.
        place: Region and group, as `place_of` writes them.
        seen: The circuit.
        left: Seconds until it may be tried again; infinite: until somebody closes it by hand.
    """
    if math.isinf(left):
        hint = f"Nothing was sent. Close it with `nexus circuits {service} --close`, or do without {service}."
        return CircuitOpenError(f"The circuit of {service}{place} is held open: {seen.reason}.", hint=hint)
    seconds = math.ceil(left - ROUNDING)
    if seen.phase == "open":
        message = f"The circuit of {service}{place} is open: {seen.reason}."
        hint = f"Nothing was sent. Make the call again in {seconds} s, or do without {service} until then."
    else:
        message = f"The circuit of {service}{place} is half open, a probe is under way: {seen.reason}."
        hint = f"Nothing was sent. Make the call again when the probe has ended, in {seconds} s at the latest."
    return CircuitOpenError(message, retry_after=left, hint=hint)


def held_open(service: str) -> CircuitOpenError:
    """Return the error for a circuit that the configuration holds open; nobody knows until when."""
    hint = f'Nothing was sent. Set mode = "normal" in services.{service}.breaker or plugins.breaker.'
    return CircuitOpenError(f'The circuit of {service} is held open by mode = "force_open".', hint=hint)


def place_of(region: str | None, group: str) -> str:
    """Return region and group for a text, with the blank before them; empty without either.

    >>> place_of("eu.crm.example", "orders"), place_of(None, "")
    (' (region eu.crm.example, group orders)', '')
    """
    parts = [f"{name} {value}" for name, value in (("region", region), ("group", group)) if value]
    return f" ({', '.join(parts)})" if parts else ""
