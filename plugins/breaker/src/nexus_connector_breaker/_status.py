"""Circuits as they are now: what the store says of them, for applications and for ``nexus circuits``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import attrs

from nexus_connector.adapter import load_adapter
from nexus_connector.conditions import CircuitState
from nexus_connector.config import ServiceConfig
from nexus_connector.errors import ConfigurationError
from nexus_connector.state import Item, Plain, Store, StoreError

from ._machine import HELD, Reply
from ._operations import LOOK, circuit_key
from ._options import BreakerOptions, Mode

if TYPE_CHECKING:
    from nexus_connector import AsyncConnector, Connector

PLUGIN = "breaker"


@attrs.frozen(kw_only=True)
class Circuit:
    """One circuit.

    Attributes:
        service: Service.
        region: Region; ``None``: the service has none, or its calls went through ``run()``.
        group: Group of operations; empty: those without one.
        state: What it does now, with what its mode makes of it.
        mode: Mode of the service.
        failures: Consecutive failures.
        calls: Calls in the window; 0 without a rule that looks at shares.
        failed_calls: Failed ones among them.
        slow_calls: Slow ones among them.
        reason: Why it is in this state; empty: it has never been in another.
        since_seconds: How long it has been; ``None``: always.
        probe_in_seconds: When a probe may pass, at the latest; ``None``: it needs none, or is held open by hand.
    """

    service: str
    region: str | None
    group: str
    state: CircuitState
    mode: Mode
    failures: int = 0
    calls: int = 0
    failed_calls: int = 0
    slow_calls: int = 0
    reason: str = ""
    since_seconds: float | None = None
    probe_in_seconds: float | None = None


def circuits(connector: Connector | AsyncConnector, service: str | None = None) -> tuple[Circuit, ...]:
    """Return the circuits of a connector as they are now. Asks the store in this thread; changes nothing.

    With the memory store these are the circuits of this process. A service whose breaker is switched off has none.

    Args:
        connector: The connector, either face.
        service: Only those of this service.

    Raises:
        ConfigurationError: If there is no such service, its adapter cannot be loaded, or the store does not answer.
    """
    runtime = connector.runtime
    if service is not None:
        runtime.known(service)
    if not runtime.registry.has_plugin(PLUGIN):
        return ()
    found: list[Circuit] = []
    for name, config in runtime.config.services.items():
        options = runtime.tables.read(PLUGIN, BreakerOptions, name)
        if options is not None and service in {None, name}:
            found += _circuits_of(name, config, options, runtime.process.stores.shared)
    return tuple(found)


def places_of(name: str, config: ServiceConfig) -> tuple[Sequence[str | None], Sequence[str]]:
    """Return the regions of a service, the last one ``None``: that of ``run()``, and its groups of operations."""
    regions = [region.name for region in _with_base_url(name, config).regions]
    return [*regions, None], sorted({"", *(endpoint.group for endpoint in config.endpoints.values())})


def asked(store: Store, item: Item) -> Plain:
    """Ask the store, in this thread.

    Raises:
        ConfigurationError: If it does not answer.
    """
    try:
        [reply] = store.run([item])
    except StoreError as error:
        message = f"stores.shared does not answer: {str(error).rstrip('.')}."
        hint = "Start it, or mend its URL; until then each process goes by circuits of its own."
        raise ConfigurationError(message, hint=hint) from None
    return reply


def _circuits_of(name: str, config: ServiceConfig, options: BreakerOptions, store: Store) -> Iterator[Circuit]:
    regions, groups = places_of(name, config)
    for region in regions:
        for group in groups:
            plain = asked(store, (LOOK, circuit_key(name, region, group), (options.rules.window_ms,)))
            *fields, calls, failed_calls, slow_calls = cast("list[Any]", plain)
            seen = Reply(*fields)
            if region is None and len(regions) > 1 and not (seen.generation or seen.failures or calls):
                continue  # the circuit of run() calls, and there were none
            circuit = Circuit(
                service=name,
                region=region,
                group=group,
                state=seen.phase,
                mode=options.mode,
                failures=seen.failures,
                calls=calls,
                failed_calls=failed_calls,
                slow_calls=slow_calls,
                reason=seen.reason,
                since_seconds=seen.age_ms / 1000 if seen.generation else None,
                probe_in_seconds=None if seen.phase == "closed" or seen.left_ms == HELD else seen.left_ms / 1000,
            )
            yield _overruled(circuit)


def _with_base_url(name: str, config: ServiceConfig) -> ServiceConfig:
    """Return the options with the base URL that calls go to; unlike the compiled ones they need no secret."""
    if config.base_url:
        return config
    adapter = load_adapter(config.adapter, name, config.options)
    return config if adapter is None else attrs.evolve(config, base_url=adapter.vendor.base_url)


def _overruled(circuit: Circuit) -> Circuit:
    """Say what a mode makes of a circuit, whatever the store has kept of it."""
    if circuit.mode == "disabled":
        return Circuit(
            service=circuit.service, region=circuit.region, group=circuit.group, state="disabled", mode="disabled"
        )
    if circuit.mode == "force_open":
        reason = 'mode = "force_open"'
        return attrs.evolve(circuit, state="open", reason=reason, since_seconds=None, probe_in_seconds=None)
    return circuit
