"""The options of the limiter plugin: ``[plugins.limiter]`` for all services, ``[services.NAME.limiter]`` for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

import attrs
from attrs import validators

from nexus_connector.adapter import LimitHeaders
from nexus_connector.config.model import above, at_least, option

from ._budgets import Budget
from ._quota import Quota

Form: TypeAlias = Literal["seconds", "epoch", "epoch_ms"]
StoreDown: TypeAlias = Literal["share", "refuse"]
Lease: TypeAlias = Literal["auto", "off"]


def _are_limits(_: object, attribute: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
    for text in value:
        try:
            Quota.of(text)
        except ValueError as error:
            message = f"'{attribute.name}' {error}"
            raise ValueError(message) from None


def _have_limits(options: object, attribute: attrs.Attribute[Any], value: Mapping[str, tuple[str, ...]]) -> None:
    for texts in value.values():
        _are_limits(options, attribute, texts)


def _are_budgets(_: object, attribute: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
    for text in value:
        try:
            Budget.of(text)
        except ValueError as error:
            message = f"'{attribute.name}' {error}"
            raise ValueError(message) from None


@attrs.frozen(kw_only=True)
class ResetHeaders:
    """``reset_headers``: how a vendor without an adapter says what is left of its limit."""

    remaining: str = option("X-RateLimit-Remaining", "Header with the number of calls left.")
    reset: str = option("X-RateLimit-Reset", "Header that says when the limit starts afresh.")
    form: Form = option(
        "seconds",
        "What that one holds: ``seconds`` from now, or the moment since 1970 in seconds (``epoch``) or milliseconds "
        "(``epoch_ms``).",
        validator=validators.in_(get_args(Form)),
    )

    @property
    def headers(self) -> LimitHeaders:
        """The same in the core's words."""
        return LimitHeaders(remaining=self.remaining, reset=self.reset, form=self.form)


@attrs.frozen(kw_only=True)
class LimiterOptions:
    """How many calls a service may get, from all processes that share a store.

    Attributes:
        limits: Quotas of the whole service, as ``10/s``, ``600/min``, ``1000/h``, ``10000/day``, ``50/30s``; a call
            needs room in all. Default: the adapter's.
        endpoints: Further quotas of single operations, by their name.
        jitter_seconds: How late a call may be sent after its moment, 0 to 10; a later one gives its token up. The
            quota is cut by as much, so that no window at the vendor holds too many. 0: no margin, and no end.
        max_wait_seconds: Longest wait for a slot or a permit; ``None``: the core's ``max_inline_wait_seconds``, which
            bounds it in any case.
        fairness: Whether tenants that compete get equal shares.
        share: Part of every limit that each process has for itself while the store is down, above 0 to 1.
        when_store_down: ``share``: go on with that part; ``refuse``: refuse every call.
        lease: ``auto``: a process takes several tokens at once where windows are of 10 s or more, or rates of 1,000/s
            and more; ``off``: it asks for each call.
        max_concurrency: Calls under way at once, in all processes together; ``None``: no such limit.
        budgets: Costs that may be spent in a calendar window, in UTC: ``5000/day``, ``100/h``, ``20000/month``.
        reset_headers: Headers by which the vendor says what is left. Default: the adapter's.

    >>> LimiterOptions(limits=("10/s",)).jitter_seconds
    0.05
    """

    limits: tuple[str, ...] = option(
        (),
        "Quotas of the whole service: ``10/s``, ``600/min``, ``1000/h``, ``10000/day``, ``50/30s``; a call needs room "
        "in all. Default: the adapter's.",
        validator=_are_limits,
    )
    endpoints: Mapping[str, tuple[str, ...]] = option(
        {}, "Further quotas of single operations, by their name.", validator=_have_limits
    )
    jitter_seconds: float = option(
        0.05,
        "How late a call may be sent after its moment; a later one gives its token up. 0: no margin, and no end.",
        validator=[at_least(0), validators.le(10)],
        unit="s",
    )
    max_wait_seconds: float | None = option(
        None,
        "Longest wait for a slot or a permit; at most ``max_inline_wait_seconds``, which is the default.",
        validator=validators.optional([at_least(0), validators.le(3600)]),
        unit="s",
    )
    fairness: bool = option(True, "Whether tenants that compete get equal shares.")
    share: float = option(
        0.25,
        "Part of every limit that each process has for itself while the store is down, above 0 to 1.",
        validator=[above(0), validators.le(1)],
    )
    when_store_down: StoreDown = option(
        "share",
        "``share``: go on with that part; ``refuse``: refuse every call.",
        validator=validators.in_(get_args(StoreDown)),
    )
    lease: Lease = option(
        "auto",
        "``auto``: a process takes several tokens at once where all windows are of 10 s or more, or rates of 1,000/s "
        "and more; ``off``: it asks for each call.",
        validator=validators.in_(get_args(Lease)),
    )
    max_concurrency: int | None = option(
        None,
        "Calls under way at once, in all processes together.",
        validator=validators.optional([at_least(1), validators.le(10_000)]),
    )
    budgets: tuple[str, ...] = option(
        (),
        "Costs that may be spent in a calendar window, in UTC: ``5000/day``, ``100/h``, ``20000/month``.",
        validator=_are_budgets,
    )
    reset_headers: ResetHeaders | None = option(
        None,
        "Headers by which the vendor says what is left: ``remaining``, ``reset``, and ``form``, one of ``seconds``, "
        "``epoch``, ``epoch_ms``. Default: the adapter's.",
    )

    @property
    def limits_something(self) -> bool:
        """Whether there is anything to act on without a vendor that says it."""
        return bool(self.limits or any(self.endpoints.values()) or self.max_concurrency or self.budgets)
