"""Tenants: who floods takes nothing from the others, and what the others leave is not wasted."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import pytest

from nexus_connector_limiter._machine import AGAIN, GRANTED
from nexus_connector_limiter._state import TENANTS

SECONDS = 15


def play(
    desk: Any, rates: Mapping[str, float], *, regular: bool = False, patience: float = 5.0
) -> tuple[Counter[str], Counter[str]]:
    """Let each tenant call so often per second; returns what was sent after the first 5 s, and what was wanted."""
    dice, begin, sent = Random(7), desk.now_us, Counter[str]()
    heap: list[tuple[int, int, str, int]] = []
    number = 0
    wanted = Counter[str]()
    for tenant, rate in rates.items():
        at = begin
        while at < begin + SECONDS * 1_000_000:
            at += round(1_000_000 / rate if regular else dice.expovariate(rate) * 1_000_000)
            number += 1
            wanted[tenant] += at >= begin + 5_000_000
            heap.append((at, number, tenant, at))
    heapq.heapify(heap)
    asked = 0
    while heap:
        now, key, tenant, since = heapq.heappop(heap)
        desk.now_us, asked = now, asked + 1
        left = since + round(patience * 1_000_000) - now
        reply = desk.take(tenant=f"={tenant}", max_wait=max(0, left), queued=int(since < now))
        if reply.kind == GRANTED and begin + 5_000_000 <= now + reply.us < begin + SECONDS * 1_000_000:
            sent[tenant] += 1
        elif reply.kind == AGAIN:
            heapq.heappush(heap, (now + reply.us, key, tenant, since))
    print(f"\n{dict(sent)} sent in {SECONDS - 5} s, {asked} questions")
    return sent, wanted


@pytest.mark.parametrize(("regular", "rate", "patience"), [(True, 10.0, 5.0), (False, 10.0, 5.0), (True, 9.4, 0.5)])
def test_a_flood_leaves_the_others_their_share(
    bench: Callable[..., Any], regular: bool, rate: float, patience: float
) -> None:
    """One of ten tenants calls a hundred times as often as its share: each other one gets 90 % of its own.

    With little patience that is a tenth of what the limit admits in fact, else a tenth of the quota.
    """
    rates = {"flood": 100 * rate, **{f"t{number}": rate for number in range(9)}}
    sent, wanted = play(bench("100/s"), rates, regular=regular, patience=patience)
    fair = rate * (SECONDS - 5)
    shares = [sent[tenant] / min(fair, wanted[tenant]) for tenant in rates if tenant != "flood"]
    print(f"the others got {min(shares):.1%} of their share at least, the flood {sent['flood']}")
    assert min(shares) >= 0.9
    assert sum(sent.values()) >= 90 * (SECONDS - 5)


def test_slow_limits_are_shared_too(bench: Callable[..., Any]) -> None:
    """The same with four calls a second, shared by ten."""
    rates = {"flood": 40.0, **{f"t{number}": 0.4 for number in range(9)}}
    sent, _ = play(bench("240/min"), rates, regular=True)
    assert min(sent[tenant] for tenant in rates) >= int(0.9 * 0.4 * (SECONDS - 5))


@pytest.mark.parametrize("others", [0.0, 1.0], ids=["idle", "light"])
def test_what_the_others_leave_is_used(bench: Callable[..., Any], others: float) -> None:
    """Nine tenants do nothing, or a tenth of their share: the busy one gets the rest."""
    light = {f"t{number}": others for number in range(9) if others}
    sent, _ = play(bench("100/s"), {"busy": 300.0, **light}, regular=True)
    assert sent["busy"] >= 0.9 * (SECONDS - 5) * (100 - 9 * others)
    assert all(sent[tenant] >= 0.9 * others * (SECONDS - 5) for tenant in light)


def test_who_took_what_was_left_is_not_punished_for_it(bench: Callable[..., Any]) -> None:
    """A tenant that had nearly everything while the others wanted little has its share when they want more."""
    desk, others = bench("100/s"), [f"t{number}" for number in range(9)]
    play(desk, {"first": 300.0, **dict.fromkeys(others, 0.5)}, regular=True)
    sent, _ = play(desk, {"first": 50.0, **dict.fromkeys(others, 10.0)}, regular=True)
    assert sent["first"] >= 0.8 * 10 * (SECONDS - 5)
    assert min(sent[tenant] for tenant in others) >= 0.8 * 10 * (SECONDS - 5)


def test_tenants_are_forgotten(bench: Callable[..., Any]) -> None:
    """A state does not grow with every tenant there ever was: idle ones go, and at most 256 are told apart."""
    desk = bench("1000/s")
    for number in range(TENANTS + 50):
        desk.take(tenant=f"={number}")
        desk.advance(0.001)
    assert len(desk.state[5]) == TENANTS
    assert desk.state[5][0][0] == "=50"
    desk.advance(10.1)
    desk.take(tenant="=new")
    assert [tenant[0] for tenant in desk.state[5]] == ["=new"]


def test_without_fairness_nobody_is_told_apart(bench: Callable[..., Any]) -> None:
    """No tenant, no share: first come, first served."""
    desk = bench("10/s")
    for _ in range(30):
        desk.take()
    assert desk.state[5] == []
