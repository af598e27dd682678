"""Choices: what ``nexus init`` was asked for, by domain and by service."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points, requires
from typing import Final

import attrs
import click

from nexus_connector.config import ServiceConfig
from nexus_connector.config.reading import nearest
from nexus_connector.plugins import PLUGIN_GROUP

from ._adapters import Adapter, BrokenAdapter

_CORE: Final = "nexus-connector"
_NAME: Final = re.compile("[A-Za-z0-9_-]+")


@attrs.frozen
class Choices:
    """What a configuration is to hold.

    Attributes:
        domains: Vendor adapters by domain; the first one serves it.
        services: Base URLs of other services by name; several are regions.
    """

    domains: Mapping[str, tuple[Adapter, ...]]
    services: Mapping[str, tuple[str, ...]]


def choices_of(arguments: Iterable[str], installed: Iterable[Adapter | BrokenAdapter]) -> Choices:
    """Read the arguments of ``nexus init``.

    Args:
        arguments: Each ``VENDOR``, ``DOMAIN=VENDOR`` or ``NAME=https://...``.
        installed: The installed vendor adapters.

    Raises:
        UsageError: Says what is wrong with the first argument that cannot be used.
    """
    adapters = {each.name: each for each in installed}
    domains: dict[str, dict[str, Adapter]] = {}
    services: dict[str, tuple[str, ...]] = {}
    for argument in arguments:
        name, sign, value = argument.partition("=")
        if not name or (sign and not value):
            raise click.UsageError(f"{argument!r} says too little: write DOMAIN=VENDOR or NAME=https://...")
        if "://" in value:
            _check_service(name, value, adapters)
            services[name] = (*services.get(name, ()), value)
            continue
        adapter = _usable(value or name, name, adapters)
        if sign and name != adapter.vendor.domain:
            right = f"{adapter.vendor.domain}={value}"
            raise click.UsageError(f"{value!r} serves {adapter.vendor.domain}, not {name}: write {right}.")
        domains.setdefault(adapter.vendor.domain, {})[adapter.name] = adapter
    return Choices({domain: tuple(each.values()) for domain, each in domains.items()}, services)


def _check_service(name: str, url: str, adapters: Mapping[str, object]) -> None:
    if not _NAME.fullmatch(name):
        raise click.UsageError(f"{name!r} is no name of a service: take letters, digits, - and _.")
    if name in adapters:
        raise click.UsageError(f"{name!r} is a vendor adapter: ask for {name}, and set its base_url in the file.")
    try:
        ServiceConfig(base_url=(url,))
    except ValueError as error:
        raise click.UsageError(f"{name}: {error}.") from None


def _usable(wanted: str, name: str, adapters: Mapping[str, Adapter | BrokenAdapter]) -> Adapter:
    adapter = adapters.get(wanted)
    if adapter is None:
        raise click.UsageError(f"No vendor adapter {wanted!r} is installed.{_remedy(wanted, name, adapters)}")
    if isinstance(adapter, BrokenAdapter):
        remedy = f"pip install --upgrade {adapter.distribution}"
        raise click.UsageError(f"The vendor adapter {wanted!r} cannot be imported: {adapter.problem}. {remedy}")
    return adapter


def _remedy(wanted: str, name: str, adapters: Mapping[str, Adapter | BrokenAdapter]) -> str:
    """Say which adapter was meant and how to come by it, or which there are."""
    present = {adapter.distribution for adapter in adapters.values()}
    present |= {entry.dist.name for entry in entry_points(group=PLUGIN_GROUP) if entry.dist is not None}
    absent = {each: distribution for each, distribution in _known().items() if distribution not in present}
    guess = "" if wanted in absent else nearest(wanted, [*adapters, *absent])
    meant = next((each for each in absent if each == wanted or repr(each) in guess), None)
    if meant is not None:
        return f"{guess} pip install {absent[meant]}."
    usable = ", ".join(name for name, adapter in adapters.items() if isinstance(adapter, Adapter)) or "none"
    other = f"For any other HTTP API write {name}=https://..., its base URL."
    return guess or f" nexus plugins lists those that are: {usable}. {other}"


def _known() -> dict[str, str]:
    """Return the distributions of this project by their short names, as the extras of the core list them."""
    found = {re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in requires(_CORE) or ()}
    return {name.removeprefix(f"{_CORE}-"): name for name in sorted(found) if name.startswith(f"{_CORE}-")}
