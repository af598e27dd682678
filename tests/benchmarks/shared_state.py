"""Shared state: the full stack with its circuits and limits in Redis, leased and exact, against the DIY stack there."""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median
from typing import Any, Final

import redis

from . import bounds
from .candidates_diy import diy_get
from .candidates_ours import Stack, ours_get
from .candidates_plain import bare_get
from .load import Candidate, Machine, measure
from .redis_server import redis_serving
from .rows import Measured
from .server import BODY, serving

QUOTA: Final = 10_000
"""Calls per second that the limit admits."""
_COUNTED: Final = 500
"""Calls whose questions to Redis are counted."""


def measure_shared_state(machine: Machine) -> Measured:
    """Measure everything that keeps its state in Redis."""
    with ExitStack() as ends:
        url = ends.enter_context(serving(machine.core))
        shared = ends.enter_context(redis_serving(machine.folder, machine.core))
        leased = Stack(records=machine.folder / "leased", shared=shared, limit=f"{QUOTA}/s")
        exact = Stack(records=machine.folder / "exact", shared=f"{shared[:-1]}1", limit=f"{QUOTA}/s", exact=True)
        candidates: list[Candidate] = [
            bare_get(f"{url}/x", bounds.BARE),
            bare_get(f"{url}/x", bounds.AGAIN),
            ours_get(leased.open(url), bounds.LEASED),
            ours_get(exact.open(url), bounds.EXACT),
            diy_get(f"{url}/x", machine.folder / "diy.db", bounds.DIY_REDIS, redis_url=f"{shared[:-1]}2"),
        ]
        for candidate in candidates:
            ends.callback(candidate.close)
        readings = measure(candidates, machine.plan, expected=BODY)
        asked = {candidate.name: _asked(shared, candidate) for candidate in candidates[2:]}
    notes = [f"{count:.2f} questions to Redis per call: {name}" for name, count in asked.items()]
    if median(each.rate for each in readings[bounds.LEASED]) > 0.8 * QUOTA:
        notes.append(f"this machine is too fast for a quota of {QUOTA}/s: the leased calls had to wait")
    return Measured(readings=readings, notes=notes)


def _asked(url: str, candidate: Candidate) -> float:
    """Return how often a candidate writes to Redis for each of its calls."""
    client: Any
    with redis.Redis.from_url(url) as client:  # pyright: ignore[reportUnknownMemberType]
        before = int(client.info("stats")["total_reads_processed"])
        candidate.times(_COUNTED)
        candidate.drain()
        return (int(client.info("stats")["total_reads_processed"]) - before - 1) / _COUNTED
