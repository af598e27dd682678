"""Drafts: the text of a configuration file, from what the installed parts say of their options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from nexus_connector.config import (
    Config,
    DomainConfig,
    EndpointConfig,
    PaginationConfig,
    PluginsConfig,
    ServiceConfig,
    StoresConfig,
)
from nexus_connector.static_credentials import METHODS

from ._adapters import Adapter
from ._choices import Choices
from ._options import Option, is_secret, settings_of
from ._tables import CORE, OptionTable
from ._toml import beside, key, remark, settings, toml

_HEAD: Final = """\
# Configuration of nexus-connector, begun by nexus init.
#
# A line that begins with # and no blank is a setting that does not count yet: take
# the # away, and it does. It shows the default; where the comment beside it speaks
# of the default, it shows an example.
#
# nexus doctor checks this file, nexus schema prints every setting. Variables of the
# environment count more: NEXUS__SERVICES__NAME__TIMEOUT_SECONDS."""
_STORES: Final = "memory:// comes with the core, others with plugins that open them"
_PLUGINS: Final = "A plugin whose table stands below must be installed: remove what you can do without."
_EXAMPLES: Final[Mapping[str, object]] = {
    "adapter": "package.module:Class",
    "durable": "sqlite:///nexus.db",
    "sender": "billing@example.com",
}


def draft(choices: Choices, plugins: Sequence[OptionTable]) -> str:
    """Return a configuration with these domains and services.

    Args:
        choices: The domains and services.
        plugins: Tables of the installed plugins.
    """
    return _text([*_asked(choices), *_around(plugins)])


def example(choices: Choices, plugins: Sequence[OptionTable]) -> str:
    """Return a configuration with every setting, in which no domain and no service counts.

    Args:
        choices: Domains and services to show.
        plugins: Tables of the installed plugins.
    """
    shown = [[_switched_off(line) for line in block] for block in _asked(choices)]
    return _text([[*settings(settings_of(Config), {})], *shown, *_around(plugins)])


def places(adapter: Adapter) -> dict[str, dict[str, str]]:
    """Return the keys of an adapter's credentials that are secrets, each with its place: ``{"env": NAME}``."""
    table = adapter.vendor.credentials
    return {name: cast("dict[str, str]", place) for name, place in table.items() if isinstance(place, Mapping)}


def _switched_off(line: str) -> str:
    return line if line[:1] in {"", "#"} else f"#{line.replace('  # ', ' # ', 1)}"


def _text(blocks: Sequence[Sequence[str]]) -> str:
    return "\n\n".join([_HEAD, *("\n".join(block) for block in blocks)]) + "\n"


def _asked(choices: Choices) -> Iterator[list[str]]:
    for domain, adapters in choices.domains.items():
        yield [*_domain(domain, [adapter.name for adapter in adapters])]
        for adapter in adapters:
            yield from _vendor(adapter)
    for name, urls in choices.services.items():
        yield from _service(name, urls)


def _around(plugins: Sequence[OptionTable]) -> Iterator[list[str]]:
    names = [table.path.rpartition(".")[2] for table in plugins]
    yield [beside("[stores]", _STORES), *settings(settings_of(StoresConfig), _EXAMPLES)]
    yield ["[plugins]", *remark(_PLUGINS), "", *settings(settings_of(PluginsConfig), {"only": names})]
    for table in plugins:
        if options := settings_of(table.kind):
            note = f"{table.note[:1].upper()}{table.note[1:]}."
            yield [beside(f"[{table.path}]", table.title), *remark(note), "", *settings(options, {})]


def _domain(domain: str, vendors: Sequence[str]) -> Iterator[str]:
    first, *others = map(toml, vendors)
    standby = f": {' or '.join(others)} stands by" if others else ""
    tenants = {"acme": vendors[-1]} if others else {}
    yield f"[domains.{key(domain)}]"
    yield beside(f"service = {first}", f"swap the vendor here{standby}")
    yield from settings(_but(DomainConfig, "service"), {**_EXAMPLES, "tenants": tenants})


def _vendor(adapter: Adapter) -> Iterator[list[str]]:
    path = f"services.{key(adapter.name)}"
    text, base_url = _base_url(adapter.vendor.base_url)
    described = [*remark(adapter.vendor.documentation), ""] if adapter.vendor.documentation else []
    yield [f"[{path}]", *described, *text, f"#{base_url}", *settings(_only(ServiceConfig, "timeout_seconds"), {})]
    if secrets := places(adapter):
        names = " and ".join(name for place in secrets.values() for name in place.values())
        head = beside(f"[{path}.credentials]", f"the secret is read from {names}")
        yield [head, *(f"#{name} = {toml(place)}" for name, place in secrets.items())]
    if options := settings_of(adapter.kind.options_class):
        yield [f"[{path}.options]", *settings(options, {})]


def _service(name: str, urls: Sequence[str]) -> Iterator[list[str]]:
    text, base_url = _base_url(urls)
    yield [
        f"[services.{name}]",
        *text,
        base_url,
        *settings(_but(ServiceConfig, "base_url", "credentials", "options"), _EXAMPLES),
        *settings(settings_of(EndpointConfig), {}, below='endpoints."GET /orders/{id}".'),
    ]
    yield [f"[services.{name}.credentials]", *_methods(name)]
    yield [f"[services.{name}.pagination]", *settings(settings_of(PaginationConfig), {})]


def _methods(service: str) -> Iterator[str]:
    for table in CORE:
        if table.kind in METHODS.values():
            yield from remark(f"{table.title}:")
            for option in settings_of(table.kind):
                variable = f"{service}_{option.name}".upper().replace("-", "_")
                yield from settings([option], {option.name: {"env": variable}} if is_secret(option.kind) else {})


def _base_url(urls: Sequence[str]) -> tuple[list[str], str]:
    """Return text and line of a base URL: where it is a single one, it may stand without brackets."""
    [option] = _only(ServiceConfig, "base_url")
    return remark(option.text), f"base_url = {toml(urls[0] if len(urls) == 1 else urls)}"


def _only(kind: type, name: str) -> list[Option]:
    return [option for option in settings_of(kind) if option.name == name]


def _but(kind: type, *names: str) -> list[Option]:
    return [option for option in settings_of(kind) if option.name not in names]
