"""Growth: what a call costs with many services, tenants and installed plugins, and what they take of memory."""

from __future__ import annotations

import gc
import statistics
import time
import tracemalloc
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import cycle, product
from pathlib import Path
from typing import Any, Final

import attrs

from nexus_connector import Connector

from . import bounds
from .candidates_ours import SERVICE, Stack
from .concurrency import allow_files
from .fresh import Fresh, run_fresh
from .load import Blocking, Candidate, Machine, measure
from .rows import Measured
from .server import BODY, serving
from .stub import URL, answered

SERVICES: Final = 1000
TENANTS: Final = 10_000

_CALLS: Final = 2000
"""Calls that a fresh process makes, after as many for warming up."""
_FILES: Final = 4096
"""Open files that the connections of all services need."""
_FLUSHED: Final = 500
"""Calls between two waits for records, while memory is measured."""
_PLUGIN: Final = """
import attrs
from nexus_connector import Plugin, hookimpl

@attrs.frozen(kw_only=True)
class Options:
    '''Nothing to set but a key that it waits for.'''
    key: str = ""

class Idle:
    def __init__(self, options):
        self.options = options

    @hookimpl
    def stages(self, config):
        return ()

    @hookimpl
    def gates(self, config):
        return ()

plugin = Plugin(name="{name}", factory=Idle, config=Options, waiting=lambda options: "key")
"""
_CALL: Final = """
from pathlib import Path
sys.path[:0] = sys.argv[1:2]
from benchmarks.growth import seconds_per_call
print(seconds_per_call(int(sys.argv[2]), Path(sys.argv[3])))
"""
_MEMORY: Final = """
from pathlib import Path
from benchmarks import growth
print(getattr(growth, sys.argv[1])(Path(sys.argv[2])))
"""


def measure_growth(machine: Machine) -> Measured:
    """Measure calls, and memory in fresh processes."""
    allow_files(_FILES)
    folder = machine.folder
    with ExitStack() as ends:
        url = ends.enter_context(serving(machine.core))
        wired = [_connector(count, folder / f"wired-{number}", url) for number, count in enumerate((1, SERVICES))]
        asking = [
            _connector(count, folder / f"asking-{number}", url, exact=True)
            for number, count in enumerate((1, 1, SERVICES))
        ]
        stubbed = [
            answered(_connector(count, folder / f"stubbed-{number}"))
            for number, count in enumerate((1, SERVICES, 1, 1))
        ]
        candidates: list[Candidate] = [
            _among(asking[0], 1, bounds.ONE_ASKING),
            _among(asking[1], 1, bounds.ONE_ASKING_AGAIN),
            _among(asking[2], SERVICES, bounds.ALL_ASKING),
            _among(wired[0], 1, bounds.ONE_SERVICE),
            _among(wired[1], SERVICES, bounds.ALL_SERVICES),
            _among(stubbed[0], 1, bounds.ONE_STUBBED),
            _among(stubbed[1], SERVICES, bounds.ALL_STUBBED),
            _among(stubbed[1], 1, bounds.ONE_OF_ALL_STUBBED),
            _for_tenants(stubbed[2], 1, bounds.ONE_TENANT),
            _for_tenants(stubbed[3], TENANTS, bounds.ALL_TENANTS),
        ]
        for candidate in candidates:
            ends.callback(candidate.close)
        readings = measure(candidates, machine.plan, expected=BODY, warm_up=2 * SERVICES)
    installed: list[Candidate] = [
        _with_plugins(bounds.FEW_UNUSED, 5, machine.folder / "few"),
        _with_plugins(bounds.FEW_UNUSED_AGAIN, 5, machine.folder / "few-again"),
        _with_plugins(bounds.MANY_UNUSED, 20, machine.folder / "many"),
    ]
    readings |= measure(installed, attrs.evolve(machine.plan, calls=1), warm_up=0)
    return Measured(
        readings=readings,
        notes=[
            f"{SERVICES:,} services take {_memory('memory_of_services', machine):.1f} MB, the first one left out",
            f"{TENANTS:,} tenants take {_memory('memory_of_tenants', machine):.1f} MB, the first one left out",
        ],
    )


def _config(services: int, records: Path, url: str = URL, *, exact: bool = False) -> dict[str, Any]:
    """Return the full stack for several services.

    Args:
        services: How many.
        records: Where their records go.
        url: Where they lead.
        exact: Whether each call asks for its circuit and its limit. What a process knows of them without asking ages
            while other services have their turn, so that calls in turn would ask more often, whatever their number.
    """
    config = Stack(records=records, exact=exact).config(url)
    [(_, service)] = config["services"].items()
    config["services"] = {f"{SERVICE}-{number}": service for number in range(services)}
    return config


def _connector(services: int, records: Path, url: str = URL, *, exact: bool = False) -> Connector:
    return Connector.from_config(_config(services, records, url, exact=exact))


def _among(connector: Connector, services: int, name: str) -> Blocking:
    """Return calls of one service after the other, of the first ones of a connector."""
    turns = cycle([connector.service(f"{SERVICE}-{number}") for number in range(services)])
    return Blocking(name=name, call=lambda: next(turns).get("/x").body, drain=connector.flush, close=connector.close)


def _for_tenants(connector: Connector, tenants: int, name: str) -> Blocking:
    """Return calls for one tenant after the other."""
    service = connector.service(f"{SERVICE}-0")
    turns = cycle([f"tenant-{number}" for number in range(tenants)])
    return Blocking(
        name=name,
        call=lambda: service.get("/x", tenant_id=next(turns)).body,
        drain=connector.flush,
        close=connector.close,
    )


def _with_plugins(name: str, count: int, folder: Path) -> Fresh:
    """Return calls in processes where so many plugins are installed that have nothing to do."""
    for number in range(count):
        _install(f"idle{number}", folder)
    return Fresh(name=name, program=_CALL, arguments=[str(folder), str(count), str(folder / "records")])


def _install(name: str, folder: Path) -> None:
    """Install a plugin as a wheel would: a module, and what the metadata says of its entry point."""
    about = folder / f"bench_{name}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: bench-{name}\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(
        f"[nexus_connector.plugins]\n{name} = bench_{name}:plugin\n", encoding="utf-8"
    )
    (folder / f"bench_{name}.py").write_text(_PLUGIN.format(name=name), encoding="utf-8")


def seconds_per_call(count: int, records: Path) -> float:
    """Return what a call takes in this process, in which `count` plugins are installed beside those of the stack."""
    config = _config(1, records)
    config["plugins"]["only"] += [f"idle{number}" for number in range(count)]
    connector = answered(Connector.from_config(config))
    registry: Any = connector.runtime.registry
    assert all(registry.has_plugin(f"idle{number}") for number in range(count))
    service, clock = connector.service(f"{SERVICE}-0"), time.perf_counter
    times: list[float] = []
    for _ in range(2):
        times.clear()
        for _ in range(_CALLS):
            started = clock()
            service.get("/x")
            times.append(clock() - started)
    connector.close()
    return statistics.median(times)


def _memory(function: str, machine: Machine) -> float:
    return run_fresh(_MEMORY, [function, str(machine.folder / function)])


def memory_of_services(records: Path) -> float:
    """Return the megabytes that further services take, each of which has been called."""
    return _grown(records, [f"{SERVICE}-{number}" for number in range(SERVICES)], [None])


def memory_of_tenants(records: Path) -> float:
    """Return the megabytes that further tenants take, each of which has been called for."""
    return _grown(records, [f"{SERVICE}-0"], [f"tenant-{number}" for number in range(TENANTS)])


def _grown(records: Path, services: Sequence[str], tenants: Sequence[str | None]) -> float:
    """Return the megabytes by which many take more than one.

    One is measured twice, for the first time every process has to take what it then keeps.
    """
    tracemalloc.start()
    taken: list[int] = []
    for names, ids in ((services[:1], tenants[:1]), (services[:1], tenants[:1]), (services, tenants)):
        before, _ = tracemalloc.get_traced_memory()
        connector = answered(_connector(len(names), records))
        for number, (name, tenant) in enumerate(product(names, ids)):
            connector.service(name).get("/x", tenant_id=tenant)
            if number % _FLUSHED == 0:
                connector.flush()
        connector.flush()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        taken.append(after - before)
        connector.close()
    return (taken[2] - taken[1]) / 1e6
