"""Checks: what ``nexus doctor`` looks at, each as findings that say what to do."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Literal

import attrs

from nexus_connector import Connector
from nexus_connector.errors import ConnectorError
from nexus_connector.opening import MEMORY, Role
from nexus_connector.state import Described, Store, StoreError
from nexus_connector.target import Target

from ._compiled import Compiled, compile_services, standing
from ._installed import plugin_rows, vendor_rows
from ._invocation import Invocation
from ._output import milliseconds
from ._reach import unreachable
from ._workers import workers

_PACKAGES: Final = ("nexus-connector", "attrs", "blinker", "cattrs", "pluggy", "urllib3", "click", "rich")
_NOBODYS: Final = ("nexus_connector", "doctor")


@attrs.frozen
class Finding:
    """One line of the doctor.

    Attributes:
        level: ``ok``, ``note`` (as it is meant to be, to be known), ``warn`` (it works, perhaps not as you think) or
            ``fail`` (something will not work).
        subject: What was looked at.
        text: What was found.
        remedy: What to do; empty if nothing.
    """

    level: Literal["ok", "note", "warn", "fail"]
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
        yield unusable(invocation, error)
        return
    yield Finding("ok", "configuration", ", ".join(invocation.source))
    problem = _problem_of_stores(connector)
    if problem is not None:  # and of every service that keeps something in them
        yield from _plugins(connector)
        yield from _vendors(connector)
        yield Finding("fail", "stores", problem.message, problem.hint or "")
        return
    services = list(compile_services(connector))
    yield from findings_of(connector, services)
    if not offline:
        yield from _answering(connector)
        yield from _reachable(_targets(services))


def unusable(invocation: Invocation, error: ConnectorError) -> Finding:
    """Return the finding of a configuration from which no connector can be built."""
    none = "nexus init writes one; --config and NEXUS_CONFIG name another, --app an application."
    return Finding("fail", "configuration", error.message, error.hint or "" if invocation.source else none)


def findings_of(connector: Connector, services: Sequence[Compiled]) -> Iterator[Finding]:
    """Look at a connector and its compiled services, without opening a connection."""
    yield from _plugins(connector)
    yield from _vendors(connector)
    if not services:
        yield Finding("warn", "services", "None is configured.", "Add a table [services.NAME] with its base_url.")
    for each in services:
        for error in each.problems:
            yield Finding("fail", f"service {each.name}", error.message, error.hint or "")
        if not each.problems:
            yield Finding("ok", f"service {each.name}", "compiles, and its secrets are there.")
    targets = _targets(services)
    yield from _base_urls(targets)
    yield from _domains(connector, targets)
    yield _store(connector, services)


def _targets(services: Iterable[Compiled]) -> dict[str, Target]:
    return {each.name: each.target for each in services if each.target is not None}


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
            yield Finding("note", f"plugin {row.name}", f"has nothing to do: {row.why} is not set.", remedy)
        else:
            yield Finding("ok", f"plugin {row.name}", row.state)


def _vendors(connector: Connector) -> Iterator[Finding]:
    for row in vendor_rows(connector.runtime):
        if row.problem is not None:
            remedy = f"pip install --upgrade {row.distribution}, or uninstall it."
            yield Finding("fail", f"vendor {row.name}", f"cannot be imported: {row.problem}", remedy)


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


def _store(connector: Connector, services: Sequence[Compiled]) -> Finding:
    shared, stands = connector.runtime.store_label("shared"), standing(services)
    if not stands:
        return Finding("ok", "stores.shared", f"{shared}, and no limit or circuit stands on it.")
    if connector.runtime.config.stores.shared != MEMORY:
        return Finding("ok", "stores.shared", f"{shared}: what all processes share ({stands}).")
    several = workers(os.environ)
    if several is None:
        text = f"{shared}: each process counts for itself ({stands})."
        return Finding("note", "stores.shared", text, "With several processes, set it to a store that they share.")
    text = f"{several.setting} starts {several.count} processes, and on {shared} each counts for itself ({stands})."
    remedy = f"Set it to a store that they share, or reckon with {several.count} times every limit."
    return Finding("warn", "stores.shared", text, remedy)


def _problem_of_stores(connector: Connector) -> ConnectorError | None:
    """Open the stores, which connects to nobody; return why that fails."""
    try:
        _ = connector.runtime.process.stores
    except ConnectorError as error:
        return error
    return None


def _answering(connector: Connector) -> Iterator[Finding]:
    """Ask each store that is outside of this process what it is, and for a key that nobody keeps."""
    runtime = connector.runtime
    stores = runtime.process.stores
    roles: Sequence[tuple[Role, Store | None]] = (("shared", stores.shared), ("durable", stores.durable))
    for role, store in roles:
        if store is not None and store.blocking:
            yield _answer(role, runtime.store_label(role), store)


def _answer(role: Role, label: str, store: Store) -> Finding:
    subject = f"stores.{role}"
    try:
        store.get(_NOBODYS)  # connects, and makes the tables
        began = time.perf_counter()
        store.get(_NOBODYS)
        took = milliseconds((time.perf_counter() - began) * 1000)
        product = store.describe() if isinstance(store, Described) else ""
    except StoreError as error:
        text = f"{label} does not answer: {str(error).removesuffix('.')}."
        remedy = f"Check {subject} with its user and password, the server and the network; --offline leaves this out."
        return Finding("fail", subject, text, remedy)
    answers = f"{product} at {label}" if product else label
    if store.durable:
        return Finding("ok", subject, f"{answers} answers in {took}; what it keeps survives the process.")
    text = f"{answers} answers in {took}; what it keeps may be lost with it."
    if role == "durable":
        return Finding("warn", subject, text, "Name a database that keeps what it was told, as sqlite:///nexus.db.")
    return Finding("ok", subject, text)


def _reachable(targets: dict[str, Target]) -> Iterator[Finding]:
    places = [(name, url, target.config.ca_file) for name, target in targets.items() for url in target.config.base_url]
    for (name, url, _), problem in zip(places, unreachable(places), strict=True):
        if problem is None:
            yield Finding("ok", f"service {name}", f"{url} can be connected to.")
        else:
            remedy = f"Check services.{name}.base_url and the network; --offline leaves this out."
            yield Finding("fail", f"service {name}", f"{url} cannot be connected to: {problem}.", remedy)
