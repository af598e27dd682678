"""Rules: which limits apply to a call of one service, as the machine wants to hear them. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import attrs

from ._machine import Pace
from ._quota import Quota, quotas


@attrs.frozen(kw_only=True)
class Kind:
    """Calls to which the same limits apply in the same way.

    Attributes:
        operation: Name of the operation; empty: all those without limits of their own.
        cost: Tokens that each takes.
        paces: The limits, as the machine wants to hear them.
        lease_us: For how long its tokens may be kept, in microseconds; 0: they may not be taken several at once.
        too_small: Name of a limit that never allows so many tokens; empty: there is none.
    """

    operation: str
    cost: int
    paces: Sequence[Pace]
    lease_us: int
    too_small: str


@attrs.frozen(kw_only=True)
class Rules:
    """The limits of one service.

    Attributes:
        common: Those that all calls share.
        own: Those of single operations, by their name.
        late_us: How late a call may be sent after its moment, in microseconds.
        leases: Whether tokens may be taken several at once.
        share: Part of every limit that a process has while the store is down.
        permits: Calls under way at once; 0: any number.
    """

    common: Sequence[Quota]
    own: Mapping[str, Sequence[Quota]]
    late_us: int
    leases: bool
    share: float
    permits: int

    @classmethod
    def of(  # noqa: D417  # the others are attributes of the class
        cls,
        common: Sequence[str],
        own: Mapping[str, Sequence[str]],
        *,
        jitter_seconds: float,
        leases: bool,
        share: float,
        permits: int,
    ) -> Rules:
        """Read limits as they are written.

        Args:
            jitter_seconds: How late a call may be sent after its moment.
            leases: Whether they are wanted; they are taken only if no common limit is against it, nor permits are.

        Raises:
            ValueError: If a limit has another form.
        """
        shared = quotas(common)
        fit = all(quota.may_be_leased for quota in shared) and not permits
        return cls(
            common=shared,
            own={operation: quotas(texts) for operation, texts in own.items() if texts},
            late_us=round(jitter_seconds * 1_000_000),
            leases=leases and fit,
            share=share,
            permits=permits,
        )

    def kind(self, operation: str, cost: float) -> Kind:
        """Return what applies to a call.

        Args:
            operation: Name of its operation.
            cost: What it costs; limits count whole tokens.
        """
        name, tokens = operation if operation in self.own else "", max(0, math.ceil(cost))
        return Kind(
            operation=name,
            cost=tokens,
            paces=tuple(self.paces(name, tokens)),
            lease_us=self.lease_us(name) if tokens else 0,
            too_small=next((limit for limit, quota, _ in self.quotas(name) if tokens > quota.calls), ""),
        )

    def paces(self, operation: str, cost: int, *, alone: bool = False) -> list[Pace]:
        """Return the limits of one call; of a process that is alone only the share is there.

        Where a service has no common limits, those of an operation hold up nobody else: they count as shared.
        """
        found: list[Pace] = []
        share = self.share if alone else 1.0
        if cost:
            for name, quota, shared in self.quotas(operation):
                pace = quota.pace(cost, late_us=self.late_us, leased=self.is_leased(quota), share=share)
                found.append((name, int(shared or not self.common), *pace))
        return found

    def quotas(self, operation: str) -> Iterator[tuple[str, Quota, bool]]:
        """Return the limits of an operation: the name of each, the limit, and whether the whole service shares it."""
        for quota in self.common:
            yield quota.text, quota, True
        for quota in self.own.get(operation, ()):
            yield f"{operation} {quota.text}", quota, False

    def lease_us(self, operation: str) -> int:
        """Return for how long tokens of this operation may be kept; 0: they may not be taken several at once."""
        found = [quota for _, quota, _ in self.quotas(operation)]
        if not found or not all(self.is_leased(quota) for quota in found):
            return 0
        return min(quota.lease_us for quota in found)

    def is_leased(self, quota: Quota) -> bool:
        """Say whether tokens of a quota may be taken several at once."""
        return self.leases and quota.may_be_leased

    def allowed(self, seconds: float) -> float:
        """Return how many calls the common limits admit in this time, at most."""
        return min(
            (max(1.0, quota.calls * seconds * 1_000_000 / quota.window_us) for quota in self.common),
            default=float("inf"),
        )
