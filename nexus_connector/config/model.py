"""The configuration as frozen values: every option of the core with its type, unit, range and default."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import attrs
from attrs import validators

from .secrets import SecretRef

_EMPTY: Mapping[str, object] = MappingProxyType({})


def option(default: object, text: str, *, validator: Any = None, unit: str = "") -> Any:
    """Declare an option: its default, its text for ``nexus schema`` and the reference, its range and unit.

    >>> @attrs.frozen(kw_only=True)
    ... class Cache:
    ...     keep_seconds: float = option(60.0, "How long an answer is kept.", validator=above(0))
    >>> Cache().keep_seconds
    60.0
    """
    metadata = {"text": text, "unit": unit}
    if isinstance(default, dict | list):
        return attrs.field(factory=cast("dict[str, object]", default).copy, validator=validator, metadata=metadata)
    return attrs.field(default=default, validator=validator, metadata=metadata)


above = validators.gt
at_least = validators.ge


def _is_base_url(_: object, attribute: attrs.Attribute[object], value: tuple[str, ...]) -> None:
    for url in value:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = f"{attribute.name} must be an absolute http(s) URL"
            raise ValueError(message)
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            message = f"{attribute.name} must be https:// (http:// is for loopback only)"
            raise ValueError(message)
        if parts.query or parts.fragment or parts.username or parts.password:
            message = f"{attribute.name} must hold no query, fragment or credentials"
            raise ValueError(message)


def is_loopback(host: str) -> bool:
    """Say whether a host name is this machine by its form alone.

    >>> is_loopback("127.0.0.1"), is_loopback("127.0.0.1.evil.example")
    (True, False)
    """
    parts = host.split(".")
    return host in {"localhost", "::1"} or (
        len(parts) == 4 and parts[0] == "127" and all(part.isascii() and part.isdigit() for part in parts)
    )


@attrs.frozen(kw_only=True)
class EndpointConfig:
    """``[services.NAME.endpoints."GET /orders/{id}"]``: what one operation of a service does differently."""

    timeout_seconds: float | None = option(
        None, "Time of a whole call.", validator=validators.optional(above(0)), unit="s"
    )
    group: str = option("", "Operations of one group have a circuit of their own; empty: the service's.")


@attrs.frozen(kw_only=True)
class PaginationConfig:
    """``[services.NAME.pagination]``: how a list goes on after its first page."""

    style: Literal["link", "cursor", "page", "offset"] = option(
        "link", "How the next page is named: a Link header (RFC 8288), a cursor, a page number or an offset."
    )
    items: str = option("", "Where the items are in the JSON, as ``data.items``; empty: the JSON is the list.")
    cursor: str = option(
        "next", "Where the next cursor is in the JSON; a whole URL is followed on the service's own host."
    )
    parameter: str = option("", "Query parameter of the cursor, page or offset; empty: the name of the style.")
    size_parameter: str = option("", "Query parameter of the page size; empty: none is sent.")
    size: int = option(100, "Items asked for per page.", validator=at_least(1))


@attrs.frozen
class Region:
    """One of the places where a service is served.

    Attributes:
        name: What records, events and circuits call it.
        base_url: Where requests go, without a slash at the end.
    """

    name: str
    base_url: str


@attrs.frozen(kw_only=True)
class ServiceConfig:
    """``[services.NAME]``: one outside API."""

    adapter: str | None = option(
        None,
        "Vendor adapter: its name, or ``package.module:Class``. Default: the installed one of the service's name.",
    )
    options: Mapping[str, object] = option({}, "Settings of the adapter.")
    base_url: tuple[str, ...] = option(
        (), "Base URL, or several in order of preference (regions). Default: the adapter's.", validator=_is_base_url
    )
    timeout_seconds: float = option(
        30.0, "Time of a whole call: waits, every attempt, backoff.", validator=above(0), unit="s"
    )
    attempt_timeout_seconds: float = option(
        10.0, "Time of one send where another could follow.", validator=above(0), unit="s"
    )
    credentials: Mapping[str, object] = option({}, "Credentials: ``method`` and its secrets. Default: the adapter's.")
    tenant: Literal["optional", "required"] = option("optional", "Whether every call must name a tenant.")
    headers: Mapping[str, str | SecretRef] = option({}, "Header fields of every request; a value may be a secret.")
    max_concurrency: int = option(100, "Sends under way at once, and connections kept.", validator=at_least(1))
    max_body_bytes: int = option(
        100 * 1024 * 1024, "Largest answer held in memory, decompressed.", validator=at_least(1), unit="bytes"
    )
    follow_redirects: bool = option(False, "Whether GET and HEAD follow redirects; no credential crosses an origin.")
    allowed_hosts: tuple[str, ...] = option((), "Hosts beside its own that a redirect may lead to.")
    ca_file: str | None = option(None, "A private certificate authority, PEM.")
    idempotency_header: str | None = option(
        None, "Header in which the vendor honours idempotency keys. Default: the adapter's."
    )
    pagination: PaginationConfig = option(PaginationConfig(), "How lists go on.")
    endpoints: Mapping[str, EndpointConfig] = option({}, "Options of single operations, by their name.")

    @property
    def regions(self) -> tuple[Region, ...]:
        """The base URLs with their names, in order of preference: a region is called by its host."""
        hosts = [urlsplit(url).netloc for url in self.base_url]
        return tuple(
            Region(host if hosts.count(host) == 1 else url.partition("://")[2].rstrip("/"), url.rstrip("/"))
            for host, url in zip(hosts, self.base_url, strict=True)
        )


@attrs.frozen(kw_only=True)
class DomainConfig:
    """``[domains.NAME]``: which service serves a domain."""

    service: str = attrs.field(metadata={"text": "Service that serves it.", "unit": ""})
    sender: str | None = option(None, "Default sender of messages.")
    tenants: Mapping[str, str] = option({}, "Another service for single tenants.")


@attrs.frozen(kw_only=True)
class StoresConfig:
    """``[stores]``: where state is kept."""

    shared: str | SecretRef = option(
        "memory://", "URL of the store of limits, circuits and permits; may be a secret. ``memory://`` is per process."
    )
    durable: str | SecretRef | None = option(
        None, "URL of the store of what must survive: idempotency, audit; may be a secret."
    )


@attrs.frozen(kw_only=True)
class PluginsConfig:
    """``[plugins]``: which installed plugins take part; beside it, one table for each."""

    only: tuple[str, ...] | None = option(None, "Allow-list, checked before anything is imported.")
    require: tuple[str, ...] = option((), "Plugins without which the connector refuses to start.")


@attrs.frozen(kw_only=True)
class Config:
    """The whole configuration."""

    services: Mapping[str, ServiceConfig] = option({}, "One table per outside API.")
    domains: Mapping[str, DomainConfig] = option({}, "Which service serves which domain.")
    stores: StoresConfig = option(StoresConfig(), "Where state is kept.")
    plugins: PluginsConfig = option(PluginsConfig(), "Which plugins take part.")
    io_threads: int = option(
        1000, "Threads for sends under the async face, at most.", validator=[at_least(1), validators.le(10_000)]
    )
    max_inline_wait_seconds: float = option(
        5.0,
        "Longest wait that a vendor or a limit may impose inside a call; longer ones are raised as ``retry_after``.",
        validator=at_least(0),
        unit="s",
    )
    sensitive_keys: tuple[str, ...] = option((), "Names of fields that are masked in records, beside the known ones.")
