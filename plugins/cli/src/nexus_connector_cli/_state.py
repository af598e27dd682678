"""State: what a connector is right now, as plain values."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Final

import attrs

from nexus_connector import Connector
from nexus_connector.config.sources import PREFIX
from nexus_connector.errors import ConnectorError
from nexus_connector.target import Target

from ._checks import Finding, findings_of, unusable
from ._compiled import Compiled, compile_services, standing
from ._installed import PluginRow, plugin_rows
from ._invocation import Invocation

_RESOLVES: Final = ".resolve_credentials"


@attrs.frozen(kw_only=True)
class ServiceState:
    """A service.

    Attributes:
        name: Its name.
        adapter: Its vendor adapter; ``None``: it is any HTTP API.
        base_url: Where it is; several are regions.
        timeout_seconds: Time of a whole call.
        tenant: Whether calls must name a tenant: ``optional`` or ``required``.
        endpoints: How many of its operations have options of their own.
        credentials: Method of its static credentials, or the plugin that finds them; ``None``: neither.
        secrets: Places of its static secrets, and whether each is there.
        problem: Why it cannot be compiled.
    """

    name: str
    adapter: str | None
    base_url: tuple[str, ...]
    timeout_seconds: float
    tenant: str
    endpoints: int
    credentials: str | None
    secrets: Mapping[str, bool]
    problem: str | None


@attrs.frozen(kw_only=True)
class DomainState:
    """A domain.

    Attributes:
        name: Its name.
        service: Service that serves it.
        tenants: Another service for single tenants.
    """

    name: str
    service: str
    tenants: Mapping[str, str]


@attrs.frozen(kw_only=True)
class StoreState:
    """The stores.

    Attributes:
        shared: Store of limits and circuits.
        standing: What stands on it: each limit or circuit, and the services that it is for.
        durable: Store of what must survive; ``None``: there is none.
    """

    shared: str
    standing: str
    durable: str | None


@attrs.frozen(kw_only=True)
class State:
    """A connector.

    Attributes:
        starts: Whether it would start here and now.
        versions: Those of the connector and of Python.
        source: Where its configuration comes from; empty: there is none.
        variables: Environment variables that are part of the configuration, by name.
        services: Its services.
        domains: Its domains.
        plugins: Installed plugins, and hooks of the application.
        stores: Its stores; ``None``: no connector could be built.
        problems: What is not as it should be: what fails, then what may be wrong.
    """

    starts: bool
    versions: Mapping[str, str]
    source: Sequence[str]
    variables: Sequence[str]
    services: Sequence[ServiceState] = ()
    domains: Sequence[DomainState] = ()
    plugins: Sequence[PluginRow] = ()
    stores: StoreState | None = None
    problems: Sequence[Finding] = ()


def state_of(invocation: Invocation) -> State:
    """Look at the connector of a run, without opening a connection; that it cannot be built is a problem, no error."""
    found = State(
        starts=False,
        versions={"nexus-connector": version("nexus-connector"), "Python": platform.python_version()},
        source=invocation.source,
        variables=sorted(name for name in os.environ if name.startswith(PREFIX)),
    )
    try:
        connector = invocation.connector()
    except ConnectorError as error:
        return attrs.evolve(found, problems=[unusable(invocation, error)])
    services = list(compile_services(connector))
    domains = connector.runtime.config.domains.items()
    return attrs.evolve(
        found,
        starts=not any(each.problems for each in services),
        services=[_service(connector, each) for each in services],
        domains=[DomainState(name=name, service=each.service, tenants=dict(each.tenants)) for name, each in domains],
        plugins=plugin_rows(connector),
        stores=_stores(connector, services),
        problems=_problems(findings_of(connector, services)),
    )


def _service(connector: Connector, service: Compiled) -> ServiceState:
    configured, target = connector.runtime.config.services[service.name], service.target
    config = target.config if target is not None else configured
    own = service.name if target is not None and target.adapter is not None else None
    return ServiceState(
        name=service.name,
        adapter=configured.adapter or own,
        base_url=config.base_url,
        timeout_seconds=config.timeout_seconds,
        tenant=config.tenant,
        endpoints=len(config.endpoints),
        credentials=_credentials(target) if target is not None else None,
        secrets={str(place): place.problem is None for place in service.places},
        problem=service.error.message if service.error is not None else None,
    )


def _credentials(target: Target) -> str | None:
    if target.credentials is not None:
        return target.credentials.method.value
    hooks = (entry.name.removesuffix(_RESOLVES) for entry in target.entries if entry.name.endswith(_RESOLVES))
    return next((f"by {name}" for name in hooks), None)  # the first to be asked


def _stores(connector: Connector, services: Sequence[Compiled]) -> StoreState:
    shared, durable = (connector.runtime.store_label(role) for role in ("shared", "durable"))
    return StoreState(shared=shared, standing=standing(services), durable=durable or None)


def _problems(findings: Iterable[Finding]) -> list[Finding]:
    return sorted((each for each in findings if each.level in {"fail", "warn"}), key=lambda each: each.level)
