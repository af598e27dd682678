"""Limits as they are now: what the stores say of them, for applications and for ``nexus limits``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import attrs

from nexus_connector.adapter import load_adapter

from ._budgets import budgets
from ._operations import LOOK, SPENT, ledger_key, limiter_key
from ._options import LimiterOptions
from ._plugin import rules_of
from ._rules import Rules

if TYPE_CHECKING:
    from nexus_connector import AsyncConnector, Connector
    from nexus_connector.adapter import Vendor
    from nexus_connector.config import ServiceConfig
    from nexus_connector.state import Store

PLUGIN: Final = "limiter"
Kind: TypeAlias = Literal["rate", "concurrency", "budget", "vendor"]


@attrs.frozen(kw_only=True)
class Limit:
    """One limit.

    Attributes:
        service: Service.
        endpoint: Operation that it is for; empty: all of the service.
        kind: ``rate``, ``concurrency``, ``budget``; ``vendor``: what the vendor itself said last.
        limit: As it was written; for ``vendor`` ``remaining``, or ``pause``.
        left: Calls that could be made at once, permits that are free, cost that is left.
        wait_seconds: When a call of cost 1 would have its slot, the pause of the vendor included; for a budget and
            for ``vendor``: when there is more.
    """

    service: str
    endpoint: str = ""
    kind: Kind
    limit: str
    left: float
    wait_seconds: float = 0.0


def limits(connector: Connector | AsyncConnector, service: str | None = None) -> tuple[Limit, ...]:
    """Return the limits of a connector as they are now. Asks the stores in this thread; changes nothing.

    With the memory store these are the limits of this process. A service whose limiter is switched off has none.

    Args:
        connector: The connector, either face.
        service: Only those of this service.

    Raises:
        ConfigurationError: If there is no such service, or its adapter cannot be loaded.
    """
    runtime = connector.runtime
    if service is not None:
        runtime.known(service)
    if not runtime.registry.has_plugin(PLUGIN):
        return ()
    found: list[Limit] = []
    for name, config in runtime.config.services.items():
        options = runtime.tables.read(PLUGIN, LimiterOptions, name)
        if options is None or service not in {None, name}:
            continue
        stores = runtime.process.stores
        rules = rules_of(options, _vendor(name, config), blocking=stores.shared.blocking)
        if rules.common or rules.own or rules.permits:
            found += _limits(name, rules, stores.shared)
        if options.budgets:
            found += _budgets(name, options, stores.durable or stores.shared, runtime.blocking_io.wall())
    return tuple(found)


def _vendor(name: str, config: ServiceConfig) -> Vendor | None:
    """Return what is known of a vendor; unlike the compiled service it needs no secret."""
    adapter = load_adapter(config.adapter, name, config.options)
    return None if adapter is None else adapter.vendor


def _limits(service: str, rules: Rules, store: Store) -> Iterator[Limit]:
    [reply] = store.run([(LOOK, limiter_key(service), ())])
    pause, left, left_us, permits, _, rows = cast("Sequence[Any]", reply)
    ahead: dict[str, int] = dict(rows)
    for endpoint in ("", *sorted(rules.own)):
        for name, quota, shared in rules.quotas(endpoint):
            if shared and endpoint:
                continue
            step, most, _ = quota.pace(1, late_us=rules.late_us, leased=rules.is_leased(quota))
            free = most - ahead.get(name, 0)
            yield Limit(
                service=service,
                endpoint=endpoint,
                kind="rate",
                limit=quota.text,
                left=0 if pause else max(0, free // step + 1),
                wait_seconds=max(0, -free, pause) / 1_000_000,
            )
    if rules.permits:
        free = max(0, rules.permits - permits)
        yield Limit(service=service, kind="concurrency", limit=f"{rules.permits} at once", left=free)
    if left >= 0:
        yield Limit(service=service, kind="vendor", limit="remaining", left=left, wait_seconds=left_us / 1_000_000)
    if pause:
        yield Limit(service=service, kind="vendor", limit="pause", left=0, wait_seconds=pause / 1_000_000)


def _budgets(service: str, options: LimiterOptions, store: Store, now: datetime) -> Iterator[Limit]:
    [reply] = store.run([(SPENT, ledger_key(service), ())])
    spent = {(name, window): units for name, window, units in cast("Sequence[Any]", reply)}
    for budget in budgets(options.budgets):
        window, left_ms = budget.window(now)
        left = max(0, budget.amount - spent.get((budget.text, window), 0)) / 1_000_000
        yield Limit(
            service=service, kind="budget", limit=budget.text, left=left, wait_seconds=0.0 if left else left_ms / 1000
        )
