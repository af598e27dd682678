"""Over the wire: GET and POST of 1 KB to a server of this machine, by ours in every mode and by the others."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

from . import bounds
from .candidates_diy import diy_get, diy_post
from .candidates_ours import CORE, Stack, ours_awaited, ours_get, ours_post, written
from .candidates_plain import bare_get, bare_post, httpx_get, requests_get
from .load import Candidate, Machine, measure
from .rows import Measured
from .server import BODY, serving

_CROWDED: Final = 4.0
"""Where nothing else runs, the p99 of bare calls is at most twice their median."""


def measure_wire(machine: Machine) -> Measured:
    """Measure everything that keeps its state in this process."""
    with ExitStack() as ends:
        url = ends.enter_context(serving(machine.core))
        loop = asyncio.new_event_loop()
        ends.callback(loop.close)
        logs = [machine.folder / f"records-{number}" for number in range(7)]
        candidates = _candidates(url, machine.folder, logs, loop)
        for candidate in candidates:
            ends.callback(candidate.close)
        readings = measure(candidates, machine.plan, expected=BODY)
    notes = [_check_records(logs, machine.plan.in_all)]
    if median(each.p99 / each.median for each in readings[bounds.BARE]) > _CROWDED:
        notes.append("something else ran on this core: the p99 even of urllib3 is far above its median")
    return Measured(readings=readings, notes=notes)


def _candidates(url: str, folder: Path, logs: list[Path], loop: asyncio.AbstractEventLoop) -> list[Candidate]:
    path = f"{url}/x"
    full = [Stack(records=log).open(url) for log in logs[:3]]
    varied = {
        "full stack, no records GET": Stack(),
        "full stack, 0 hooks GET": Stack(records=logs[3], hooks=0),
        "full stack, 5 hooks GET": Stack(records=logs[4], hooks=5),
        "full stack, 0 receivers GET": Stack(records=logs[5], receivers=0),
        "full stack, 5 receivers GET": Stack(records=logs[6], receivers=5),
    }
    return [
        bare_get(path, bounds.BARE),
        bare_get(path, bounds.AGAIN),
        ours_get(full[0], bounds.FULL),
        requests_get(path, "requests GET"),
        httpx_get(path, "httpx GET"),
        diy_get(path, folder / "diy-get.db", bounds.DIY),
        ours_get(CORE.open(url), bounds.CORE),
        *(ours_get(stack.open(url), name) for name, stack in varied.items()),
        ours_awaited(CORE.open(url), loop, "core alone, awaited GET"),
        ours_awaited(full[1], loop, "full stack, awaited GET"),
        bare_post(path, bounds.BARE_POST),
        ours_post(full[2], bounds.FULL_POST),
        diy_post(path, folder / "diy-post.db", bounds.DIY_POST),
    ]


def _check_records(logs: list[Path], calls: int) -> str:
    """Hold that every call left the record of its attempt and its own."""
    for log in logs:
        found = written(log)
        assert found == 2 * calls, f"{found} records of {calls} calls"
    return f"{2 * calls} records in each of {len(logs)} folders: two for every call, none was dropped"
