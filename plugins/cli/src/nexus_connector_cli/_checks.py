"""Checks: what ``nexus doctor`` looks at, each as findings that say what to do."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Literal

import attrs

from nexus_connector import Connector, Secret
from nexus_connector.config import SecretRef
from nexus_connector.errors import ConfigurationError, ConnectorError
from nexus_connector.runtime import Parts
from nexus_connector.target import Target

from ._installed import plugin_rows, vendor_rows
from ._invocation import Invocation
from ._reach import unreachable

_PACKAGES: Final = ("nexus-connector", "attrs", "blinker", "cattrs", "pluggy", "urllib3", "click", "rich")


@attrs.frozen
class Finding:
    """One line of the doctor.

    Attributes:
        level: ``ok``, ``warn`` (it works, perhaps not as you think) or ``fail`` (something will not work).
        subject: What was looked at.
        text: What was found.
        remedy: What to do; empty if nothing.
    """

    level: Literal["ok", "warn", "fail"]
    subject: str
    text: str
    remedy: str = ""


def findings(invocation: Invocation, *, offline: bool) -> Iterator[Finding]:
    """Look at everything; what cannot be looked at because something before it failed is left out.

    Args:
        invocation: Says where the configuration is.
        offline: Whether to open no connection.
    """
    yield Finding("ok", "versions", ", ".join([f"Python {platform.python_version()}", *_versions()]))
    try:
        connector = invocation.connector()
    except ConnectorError as error:
        yield Finding("fail", "configuration", error.message, error.hint or "")
        return
    yield Finding("ok", "configuration", ", ".join(invocation.source))
    yield from _plugins(connector)
    yield from _vendors(connector)
    if not connector.runtime.config.services:
        yield Finding("warn", "services", "None is configured.", "Add a table [services.NAME] with its base_url.")
    targets: dict[str, Target] = {}
    for each in _compiled(connector):
        if isinstance(each, Target):
            targets[each.name] = each
        else:
            yield each
    yield from _base_urls(targets)
    yield from _domains(connector, targets)
    yield _store(connector, targets)
    if not offline:
        yield from _reachable(targets)


def _versions() -> Iterator[str]:
    for name in _PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:  # vendored by a system's packagers
            continue


def _plugins(connector: Connector) -> Iterator[Finding]:
    for row in plugin_rows(connector):
        if row.state == "broken":
            remedy = f"pip install --upgrade {row.distribution}, or leave it out of plugins.only."
            yield Finding("fail", f"plugin {row.name}", f"takes no part: {row.why}", remedy)
        elif row.state == "waiting":
            remedy = f"Set {row.why}, or ignore this if you do not need it."
            yield Finding("warn", f"plugin {row.name}", f"has nothing to do: {row.why} is not set.", remedy)
        else:
            yield Finding("ok", f"plugin {row.name}", row.state)


def _vendors(connector: Connector) -> Iterator[Finding]:
    for row in vendor_rows(connector.runtime):
        if row.problem is not None:
            remedy = f"pip install --upgrade {row.distribution}, or uninstall it."
            yield Finding("fail", f"vendor {row.name}", f"cannot be imported: {row.problem}", remedy)


def _compiled(connector: Connector) -> Iterator[Target | Finding]:
    """Compile every service beside those that may be at work, with made-up values for secrets that are missing."""
    runtime = connector.runtime
    missing: list[ConfigurationError] = []
    find = runtime.resolve_secret

    def resolve(reference: SecretRef) -> Secret:
        try:
            return find(reference)
        except ConfigurationError as error:
            missing.append(error)
            return Secret("missing")

    before = runtime.exchange(Parts(runtime.blocking_io, runtime.loop_io, runtime.process, {}, resolve))
    try:
        for name in runtime.config.services:
            missing.clear()
            try:
                target = runtime.target(name)
            except ConnectorError as error:
                yield Finding("fail", f"service {name}", error.message, error.hint or "")
                continue
            yield target
            for each in missing:
                yield Finding("fail", f"service {name}", each.message, each.hint or "")
            if not missing:
                yield Finding("ok", f"service {name}", "compiles, and its secrets are there.")
    finally:
        runtime.exchange(before)


def _base_urls(targets: dict[str, Target]) -> Iterator[Finding]:
    for name, target in targets.items():
        if not target.config.base_url:
            remedy = f"Add services.{name}.base_url, or use it for run() only."
            yield Finding("warn", f"service {name}", "has no base URL.", remedy)


def _domains(connector: Connector, targets: dict[str, Target]) -> Iterator[Finding]:
    for domain, config in connector.runtime.config.domains.items():
        bound = {f"domains.{domain}.service": config.service}
        bound |= {f"domains.{domain}.tenants.{tenant}": service for tenant, service in config.tenants.items()}
        for path, service in bound.items():
            if service not in targets:  # a finding of its own
                continue
            adapter = targets[service].adapter
            if adapter is not None and adapter.vendor.domain == domain:
                yield Finding("ok", f"domain {domain}", f"{path} = {service!r}")
                continue
            speaks = "has no adapter" if adapter is None else f"speaks {adapter.vendor.domain}"
            remedy = f"Name an adapter for {domain}: services.{service}.adapter; nexus plugins lists them."
            yield Finding("fail", f"domain {domain}", f"{path} = {service!r}, which {speaks}.", remedy)


def _store(connector: Connector, targets: dict[str, Target]) -> Finding:
    shared = connector.runtime.redactor().url(connector.runtime.config.stores.shared)
    gated = [name for name, target in targets.items() if any(entry.kind == "gate" for entry in target.entries)]
    if not gated:
        return Finding("ok", "stores.shared", f"{shared}, and no limit or circuit stands on it.")
    remedy = "With several processes, set stores.shared to a store that they share."
    return Finding("warn", "stores.shared", f"{shared}: each process counts for itself ({', '.join(gated)}).", remedy)


def _reachable(targets: dict[str, Target]) -> Iterator[Finding]:
    places = [(name, url, target.config.ca_file) for name, target in targets.items() for url in target.config.base_url]
    for (name, url, _), problem in zip(places, unreachable(places), strict=True):
        if problem is None:
            yield Finding("ok", f"service {name}", f"{url} can be connected to.")
        else:
            remedy = f"Check services.{name}.base_url and the network; --offline leaves this out."
            yield Finding("fail", f"service {name}", f"{url} cannot be connected to: {problem}.", remedy)
