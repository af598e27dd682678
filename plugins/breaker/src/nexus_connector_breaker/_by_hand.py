"""By hand: a person opens a circuit, closes it, or has it count anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from nexus_connector.conditions import CircuitChanged
from nexus_connector.errors import ConfigurationError

from ._machine import BY_HAND, HELD, reply_of
from ._operations import SET, circuit_key
from ._options import BreakerOptions
from ._status import PLUGIN, Circuit, asked, circuits, places_of
from ._view import left_seconds

if TYPE_CHECKING:
    from nexus_connector import AsyncConnector, Connector

Order: TypeAlias = Literal["open", "close", "reset"]
"""What becomes of a circuit: ``reset`` has it forget its failures and calls, whatever its state."""


def set_circuit(
    connector: Connector | AsyncConnector,
    service: str,
    order: Order,
    *,
    open_seconds: float | None = None,
    region: str | None = None,
    group: str | None = None,
) -> tuple[Circuit, ...]:
    """Open, close or reset circuits of a service for all processes on its store. Asks the store in this thread.

    A process that knows a circuit closed hears of it within ``snapshot_seconds``, one that knows it open within a
    second. What changes is told as `CircuitChanged` with the reason ``by hand``, in this process.

    Args:
        connector: The connector, either face.
        service: Name of the service.
        order: ``open``, ``close`` or ``reset``.
        open_seconds: With ``open``: how long until a probe may pass, above 0 to 86400; ``None``: until it is closed by
            hand.
        region: Only that of this region; empty: that of ``run()``; ``None``: all.
        group: Only that of this group of operations; empty: that of the operations without one; ``None``: all.

    Returns:
        The circuits of the service as they are then.

    Raises:
        ConfigurationError: If there is no such service, region or group, its breaker is off or forced by its mode, or
            the store does not answer.
    """
    runtime = connector.runtime
    runtime.known(service)
    _check(connector, service)
    open_ms = _open_ms(order, open_seconds)
    regions, groups = places_of(service, runtime.config.services[service])
    for place in _chosen("region", region, [each or "" for each in regions], service):
        for name in _chosen("group", group, groups, service):
            item = SET, circuit_key(service, place, name), (order, open_ms)
            seen = reply_of(asked(runtime.process.stores.shared, item))
            if seen.old != seen.phase:
                runtime.emit(
                    CircuitChanged(
                        service=service,
                        call_id=None,
                        at=runtime.blocking_io.wall(),
                        region=place or None,
                        group=name,
                        old=seen.old,
                        new=seen.phase,
                        reason=BY_HAND,
                        open_seconds=left_seconds(seen) if seen.phase == "open" else 0.0,
                    )
                )
    return circuits(connector, service)


def _check(connector: Connector | AsyncConnector, service: str) -> None:
    runtime = connector.runtime
    taking_part = runtime.registry.has_plugin(PLUGIN)
    options = runtime.tables.read(PLUGIN, BreakerOptions, service) if taking_part else None
    if options is None:
        hint = f"Remove breaker = false from services.{service} or plugins, or install the plugin."
        raise ConfigurationError(f"{service} has no circuit: its breaker is switched off.", hint=hint)
    if options.mode not in {"normal", "shadow"}:
        hint = f'Set mode = "normal" in services.{service}.breaker or plugins.breaker.'
        raise ConfigurationError(f'The circuit of {service} goes by mode = "{options.mode}", not by hand.', hint=hint)


def _open_ms(order: Order, open_seconds: float | None) -> int:
    if open_seconds is None:
        return HELD
    if order != "open" or not 0 < open_seconds <= 86_400:
        message = f"open_seconds goes with open, above 0 to 86400: {open_seconds:g} with {order}."
        raise ConfigurationError(message, hint="Leave it out to hold the circuit open until it is closed by hand.")
    return max(1, round(open_seconds * 1000))


def _chosen(kind: str, wanted: str | None, known: Sequence[str], service: str) -> Sequence[str]:
    if wanted is None:
        return known
    if wanted not in known:
        names = ", ".join(repr(each) for each in known)
        raise ConfigurationError(f"{service} has no {kind} {wanted!r}.", hint=f"There are: {names}.")
    return [wanted]
