"""The plugin: what the entry point names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nexus_connector.gates import Gate
from nexus_connector.hooks import hookimpl
from nexus_connector.plugins import Plugin
from nexus_connector.setup import ServiceSetup

from ._budgets import budgets
from ._gate import LimiterGate
from ._options import LimiterOptions
from ._quota import quotas
from ._rules import Rules

if TYPE_CHECKING:
    import click

    from nexus_connector.adapter import Vendor


def rules_of(options: LimiterOptions, vendor: Vendor | None, *, blocking: bool) -> Rules:
    """Return the limits of a service: those of its options, else those that its vendor is known for.

    Args:
        options: The service's options.
        vendor: What is known of its vendor.
        blocking: Whether asking the store takes time; where it does not, leases are for fast limits alone.
    """
    limits = options.limits or (vendor.limits if vendor is not None else ())
    every = quotas([*limits, *(text for texts in options.endpoints.values() for text in texts)])
    return Rules.of(
        limits,
        options.endpoints,
        jitter_seconds=options.jitter_seconds,
        leases=options.lease == "auto" and (blocking or all(quota.is_fast for quota in every)),
        share=options.share,
        permits=options.max_concurrency or 0,
    )


class _Limiter:
    """The hooks of the plugin. What it does differs by service, so that it keeps nothing itself."""

    @hookimpl
    def gates(self, config: ServiceSetup) -> Sequence[Gate] | None:
        options = config.of(LimiterOptions)
        if options is None:
            return None
        rules = rules_of(options, config.vendor, blocking=config.shared.blocking)
        headers = config.vendor.limit_headers if config.vendor is not None else None
        if options.reset_headers is not None:
            headers = options.reset_headers.headers
        found: list[Gate] = []
        if rules.common or rules.own or rules.permits:
            found.append(
                LimiterGate(config.name, options, rules=rules, headers=headers, store=config.shared, now=config.now)
            )
        if options.budgets:
            from ._budget_gate import BudgetGate  # here: most services have no budget

            store = config.durable if config.durable is not None else config.shared
            found.append(
                BudgetGate(config.name, budgets(options.budgets), options=options, store=store, now=config.now)
            )
        return found

    @hookimpl
    def cli_commands(self, group: click.Group) -> None:
        from ._command import add_command  # here: click and rich are there where the command line is

        add_command(group)


def _waiting(options: LimiterOptions) -> str | None:
    return None if options.limits_something else "limits"


plugin: Plugin[LimiterOptions] = Plugin(
    name="limiter", factory=lambda _: _Limiter(), config=LimiterOptions, waiting=_waiting
)
"""What the entry point names."""
