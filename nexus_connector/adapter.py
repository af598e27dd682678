"""Vendor adapters: what a vendor is, as data, and the base of the classes that speak its language."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import attrs

from .config.reading import nearest, read
from .errors import ConfigurationError
from .plugins import vendor_entries

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@attrs.frozen(kw_only=True)
class NoOptions:
    """An adapter without settings."""


@attrs.frozen(kw_only=True)
class LimitHeaders:
    """How a vendor tells what is left of a limit.

    Attributes:
        remaining: Header with the number of calls left.
        reset: Header that says when the limit starts afresh.
        form: What that one holds: seconds from now, or the moment, in seconds or milliseconds since the epoch.

    >>> LimitHeaders(form="epoch").reset
    'X-RateLimit-Reset'
    """

    remaining: str = "X-RateLimit-Remaining"
    reset: str = "X-RateLimit-Reset"
    form: Literal["seconds", "epoch", "epoch_ms"] = "seconds"


@attrs.frozen(kw_only=True)
class Vendor:
    """What is known about a vendor's API, as data.

    Attributes:
        name: Name of the vendor, as in ``extra={"sendgrid": {...}}``.
        domain: Contract the adapter speaks, as ``email``.
        base_url: Where the API is; several are regions, in order of preference.
        credentials: Default of ``[services.NAME.credentials]``; secrets name the vendor's usual variable.
        idempotency_header: Header in which the vendor honours idempotency keys; ``None``: it does not.
        replays_errors: Whether it replays stored errors under a key.
        request_id_header: Header in which it sends its own id of a request.
        limits: What the vendor allows a caller, as ``100/s``; a limiter keeps to it unless told otherwise.
        limit_headers: How it tells what is left of that; ``None``: it does not.
        documentation: Address of the description the adapter was written from.

    >>> Vendor(name="acme", domain="email", base_url=("https://api.acme.example",)).request_id_header
    'X-Request-Id'
    """

    name: str
    domain: str
    base_url: tuple[str, ...]
    credentials: Mapping[str, object] = attrs.field(factory=dict[str, object])
    idempotency_header: str | None = None
    replays_errors: bool = False
    request_id_header: str = "X-Request-Id"
    limits: tuple[str, ...] = ()
    limit_headers: LimitHeaders | None = None
    documentation: str = ""


class ServiceAdapter:
    """Base of vendor adapters, called ``VendorServiceAdapter``. Its methods return operations; it never sends.

    Attributes:
        vendor: What the vendor is.
        options_class: attrs class of ``[services.NAME.options]``.
        options: Those of this service.

    Args:
        options: Settings of this service.
    """

    vendor: ClassVar[Vendor]
    options_class: ClassVar[type] = NoOptions

    def __init__(self, options: Any) -> None:
        self.options = options


def load_adapter(
    name: str | None,
    service: str,
    options: Mapping[str, object],
    vendors: Mapping[str, EntryPoint] | None = None,
) -> ServiceAdapter | None:
    """Load the adapter of a service.

    Args:
        name: What the configuration says: an installed name, ``package.module:Class``, or nothing: then the installed
            adapter of the service's own name, if there is one.
        service: Name of the service.
        options: Its ``options`` table.
        vendors: The installed adapters, if they have been looked up already.

    Raises:
        ConfigurationError: If it is not there, cannot be imported, or its options cannot be used.
    """
    entries = vendor_entries() if vendors is None else vendors
    wanted = name or (service if service in entries else None)
    path = f"services.{service}"
    if wanted is None:
        if options:
            raise ConfigurationError(
                f"{path}.options: this service has no adapter that would take them.", hint=f"Name one: {path}.adapter."
            )
        return None
    try:
        kind = _import(wanted) if ":" in wanted else entries[wanted].load()
    except KeyError:
        install = f'pip install "nexus-connector-{wanted}", or write package.module:Class.'
        hint = f"{nearest(wanted, entries).strip()} {install}".strip()
        raise ConfigurationError(f"{path}.adapter: no adapter {wanted!r} is installed.", hint=hint) from None
    except (ImportError, AttributeError, ValueError) as error:
        message = f"{path}.adapter: {wanted!r} cannot be imported ({type(error).__name__}: {error})."
        raise ConfigurationError(message, hint="Check the name; for package.module:Class, try importing it.") from error
    if not (isinstance(kind, type) and issubclass(kind, ServiceAdapter)):
        raise ConfigurationError(
            f"{path}.adapter: {wanted!r} is no ServiceAdapter.", hint="Derive it from nexus_connector.ServiceAdapter."
        )
    return kind(read(options, cast("type[object]", kind.options_class), f"{path}.options"))


def _import(name: str) -> object:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
