"""Refusals: what a caller is told whose call found no room."""

from __future__ import annotations

import math
from typing import Final

from nexus_connector.errors import LocalRateLimitError

ROUNDING: Final = 1e-9
"""Differences of clock readings are wrong by less than this; a whole number of milliseconds must stay one."""


def no_room(service: str, operation: str, reason: str, left: float) -> LocalRateLimitError:
    """Return the error for a call that would have to wait too long.

    Args:
        service: Name of the service.
        operation: Name of the operation.
        reason: As the machine says it: the name of a limit, or another word.
        left: Seconds until there may be room.
    """
    seconds = math.ceil((left - ROUNDING) * 10) / 10
    why = {
        "pause": f"{service} asked to be left alone",
        "remaining": f"{service} says that nothing is left of its limit",
        "concurrency": f"as many calls of {service} are under way as max_concurrency allows",
        "share": f"this tenant has had its share of the limits of {service}",
    }.get(reason, f"the limit {reason} of {service} is used up")
    hint = f"Nothing was sent. Make the call again in {seconds:g} s, or let it wait longer."
    return LocalRateLimitError(f"{operation} found no room: {why}.", retry_after=left, hint=hint)


def too_large(service: str, operation: str, cost: int, name: str) -> LocalRateLimitError:
    """Return the error for a call that costs more than a whole quota."""
    hint = "Nothing was sent. Split the call, or raise the limit."
    return LocalRateLimitError(f"{operation} costs {cost}, more than {name} of {service} ever allows.", hint=hint)


def spent(service: str, operation: str, name: str, left: float) -> LocalRateLimitError:
    """Return the error for a call that its budget does not cover.

    Args:
        service: Name of the service.
        operation: Name of the operation.
        name: The budget.
        left: Seconds until the next window begins.
    """
    hint = f"Nothing was sent. The next window begins in {math.ceil(left - ROUNDING)} s; raise the budget if it may."
    message = f"{operation} is not covered by what is left of the budget {name} of {service}."
    return LocalRateLimitError(message, retry_after=left, hint=hint)


def unknown(service: str, operation: str, retry_after: float) -> LocalRateLimitError:
    """Return the error for a call whose limits cannot be asked for, where nothing is let through then."""
    hint = f'Nothing was sent. Mend the store, or set when_store_down = "share" for the limiter of {service}.'
    message = f"{operation} found no room: the store with the limits of {service} does not answer."
    return LocalRateLimitError(message, retry_after=retry_after, hint=hint)
