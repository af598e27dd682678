"""Facades: choosing the service of a domain per call, and handing the work to its adapter."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypedDict

import attrs

from ..config.reading import nearest
from ..errors import ConfigurationError, NotSupportedError
from ..operation import Bulk, CallOptions, Flow, Operation
from ..target import Target

if TYPE_CHECKING:
    from ..async_connector import AsyncConnector
    from ..connector import Connector
    from ..runtime import Runtime

Extra = Mapping[str, Mapping[str, object]]


class CallKeywords(TypedDict, total=False):
    """What every method of every facade takes.

    Attributes:
        idempotency_key: Key under which it is done once.
        tenant_id: Tenant on whose behalf it is done.
        timeout_seconds: Time of the whole call.
        extra: Fields of the vendor's own, by vendor: ``{"sendgrid": {...}}``; other vendors ignore them.
    """

    idempotency_key: str | None
    tenant_id: str | None
    timeout_seconds: float | None
    extra: Extra


_CALL_FIELDS = frozenset(CallKeywords.__annotations__)


def call_options(keywords: Mapping[str, Any], *, beside: Collection[str] = ()) -> CallOptions:
    """Take what concerns the call out of a method's keywords.

    Args:
        keywords: All keywords.
        beside: Names that mean something else to the method.

    Raises:
        TypeError: For a keyword that means nothing.
    """
    for name in keywords:
        if name not in _CALL_FIELDS and name not in beside:
            message = f"unexpected keyword argument {name!r}.{nearest(name, [*_CALL_FIELDS, *beside])}"
            raise TypeError(message)
    return CallOptions(**{name: value for name, value in keywords.items() if name in _CALL_FIELDS})


class Facade:
    """What the facades of every domain share on both faces.

    Attributes:
        domain: Name of the domain.
    """

    domain: ClassVar[str]

    def __init__(self, connector: Connector | AsyncConnector, service: str | None = None) -> None:
        self._connector = connector
        self._service = service

    def via(self, service: str) -> Self:
        """Return this facade bound to one service, whatever the configuration names.

        Raises:
            ConfigurationError: If it is not configured.
        """
        self._connector.runtime.known(service)
        return type(self)(self._connector, service)

    def _run(self, method: str, value: object, options: CallOptions) -> Any:
        """Run an adapter's method; awaitable on the async face."""
        service = self._service or service_of(self._connector.runtime, self.domain, options.tenant_id)
        return self._connector.perform_with(service, building(self.domain, method, value), options)


def service_of(runtime: Runtime, domain: str, tenant_id: str | None) -> str:
    """Return the service that serves a domain for a tenant.

    Raises:
        ConfigurationError: If none is configured.
    """
    config = runtime.config.domains.get(domain)
    if config is None:
        hint = f'{nearest(domain, runtime.config.domains).strip()} Write [domains] and {domain} = "SERVICE".'.strip()
        raise ConfigurationError(f"No service serves the domain {domain!r}.", hint=hint)
    return config.tenants.get(tenant_id, config.service) if tenant_id is not None else config.service


def building(
    domain: str, method: str, value: object
) -> Callable[[Target, CallOptions], Operation[Any] | Flow[Any] | Bulk[Any]]:
    """Return the function that asks a service's adapter for what is to be done."""

    def build(target: Target, options: CallOptions) -> Operation[Any] | Flow[Any] | Bulk[Any]:
        adapter = target.adapter
        if adapter is None or adapter.vendor.domain != domain:
            speaks = "has no adapter" if adapter is None else f"speaks {adapter.vendor.domain}"
            hint = f"Name an adapter for {domain}: services.{target.name}.adapter."
            raise ConfigurationError(f"Service {target.name!r} {speaks}, it cannot serve {domain}.", hint=hint)
        function = getattr(adapter, method, None)
        if function is None:
            hint = "Use a vendor that can: .via(SERVICE)."
            raise NotSupportedError(
                f"{adapter.vendor.name} cannot do {domain}.{method}.", hint=hint, service=target.name
            )
        thing: Operation[Any] | Flow[Any] | Bulk[Any] = function(value, options)
        return thing if thing.value is not None else attrs.evolve(thing, value=value)

    return build
