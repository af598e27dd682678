"""Compiled services: what the calls of each would meet, and whether its secrets are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from nexus_connector import Connector, Secret
from nexus_connector.config import SecretRef
from nexus_connector.errors import ConfigurationError, ConnectorError
from nexus_connector.runtime import Parts
from nexus_connector.target import Target


@attrs.frozen
class Place:
    """Where a secret of a service is looked for.

    Attributes:
        reference: The place, as the configuration or the adapter names it.
        problem: Why it is not there; ``None``: it is.
    """

    reference: SecretRef
    problem: ConfigurationError | None = None

    def __str__(self) -> str:
        return self.reference.env or self.reference.file or "given in code"


@attrs.frozen(kw_only=True)
class Compiled:
    """A service, compiled beside those that may be at work.

    Attributes:
        name: Its name.
        target: What it was compiled to; a secret that is not there is made up.
        error: Why it could not be compiled.
        places: Where its static secrets are looked for.
    """

    name: str
    target: Target | None
    error: ConnectorError | None
    places: tuple[Place, ...]

    @property
    def problems(self) -> tuple[ConnectorError, ...]:
        """What keeps a connector with this service from starting."""
        missing = [place.problem for place in self.places if place.problem is not None]
        return (self.error, *missing) if self.error is not None else (*missing,)

    @property
    def gate_names(self) -> tuple[str, ...]:
        """Names of its gates: limits and circuits."""
        return tuple(entry.name for entry in self.target.entries if entry.kind == "gate") if self.target else ()


def compile_services(connector: Connector) -> Iterator[Compiled]:
    """Compile every service of a connector; the connector itself stays as it is."""
    runtime = connector.runtime
    places: list[Place] = []
    find = runtime.resolve_secret

    def resolve(reference: SecretRef) -> Secret:
        try:
            secret = find(reference)
        except ConfigurationError as error:
            places.append(Place(reference, error))
            return Secret("missing")
        places.append(Place(reference))
        return secret

    before = runtime.exchange(Parts(runtime.blocking_io, runtime.loop_io, runtime.process, {}, resolve))
    try:
        for name in runtime.config.services:
            places.clear()
            target, error = _compile(connector, name)
            yield Compiled(name=name, target=target, error=error, places=tuple(places))
    finally:
        runtime.exchange(before)


def standing(services: Iterable[Compiled]) -> str:
    """Say what stands on the shared store: each gate, and the services that it is for."""
    found: dict[str, list[str]] = {}
    for service in services:
        for gate in service.gate_names:
            found.setdefault(gate, []).append(service.name)
    return "; ".join(f"{gate} of {', '.join(names)}" for gate, names in found.items())


def _compile(connector: Connector, name: str) -> tuple[Target | None, ConnectorError | None]:
    try:
        return connector.runtime.target(name), None
    except ConnectorError as error:
        return None, error
