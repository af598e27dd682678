"""Bounds: every row of the table, by the group that measures it, and the controls that say whether to believe it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from .rows import Row

BARE, AGAIN = "urllib3 GET", "urllib3 GET, again"
BARE_POST = "urllib3 POST 1 KB"
FULL, FULL_POST = "full stack GET", "full stack POST 1 KB"
DIY, DIY_POST = "DIY stack GET", "DIY stack POST 1 KB"
CORE = "core alone GET"
LEASED, EXACT, DIY_REDIS = "Redis, leased GET", "Redis, exact GET", "DIY stack with Redis GET"


def _against(of: str, to: str) -> Row:
    """Return a row for information: one candidate by another."""
    return Row(name=f"{of} / {to}", of=of, to=to)


WIRE: Final = (
    Row(name="full stack GET, median / urllib3", of=FULL, to=BARE, bound=1.00),
    Row(name="full stack POST 1 KB, median / urllib3", of=FULL_POST, to=BARE_POST, bound=1.00),
    Row(name="full stack GET, CPU / urllib3", of=FULL, to=BARE, statistic="cpu", bound=1.20),
    Row(name="full stack POST 1 KB, CPU / urllib3", of=FULL_POST, to=BARE_POST, statistic="cpu", bound=1.20),
    Row(name="full stack GET, p99 / urllib3", of=FULL, to=BARE, statistic="p99", bound=2.0),
    Row(name="full stack POST 1 KB, p99 / urllib3", of=FULL_POST, to=BARE_POST, statistic="p99", bound=2.0),
    Row(name="full stack GET / DIY stack", of=FULL, to=DIY, bound=0.40),
    Row(name="full stack POST 1 KB / DIY stack", of=FULL_POST, to=DIY_POST, bound=0.40),
    Row(name="urllib3 GET / itself, CPU", of=AGAIN, to=BARE, statistic="cpu"),
    Row(name="urllib3 GET / itself, p99", of=AGAIN, to=BARE, statistic="p99"),
    *(
        _against(name, BARE)
        for name in (
            "requests GET",
            "httpx GET",
            DIY,
            CORE,
            "full stack, no records GET",
            "full stack, 0 hooks GET",
            "full stack, 5 hooks GET",
            "full stack, 0 receivers GET",
            "full stack, 5 receivers GET",
            "core alone, awaited GET",
            "full stack, awaited GET",
        )
    ),
)
REDIS: Final = (
    Row(name="Redis, leased (10,000/s) GET / urllib3", of=LEASED, to=BARE, bound=1.10),
    Row(name="Redis, exact GET / urllib3", of=EXACT, to=BARE, bound=1.80),
    Row(name="Redis, leased GET / DIY stack with Redis", of=LEASED, to=DIY_REDIS, bound=0.40),
    Row(name="Redis, exact GET / DIY stack with Redis", of=EXACT, to=DIY_REDIS, bound=0.40),
    _against(DIY_REDIS, BARE),
)

CHAIN, CHAIN_AWAITED = "chain of 8 stages, stub", "chain of 8 stages, stub, awaited"
STUBBED, STUBBED_AWAITED = "whole call of 8 stages, stub", "whole call of 8 stages, stub, awaited"

PIPELINE: Final = (
    Row(name="chain of 8 stages, blocking", of=CHAIN, bound=10.0, unit="us"),
    Row(name="chain of 8 stages, awaited", of=CHAIN_AWAITED, bound=10.0, unit="us"),
    Row(name="chain of 8 stages, blocking / urllib3", of=CHAIN, to=BARE, bound=0.05),
    Row(name="chain of 8 stages, awaited / urllib3", of=CHAIN_AWAITED, to=BARE, bound=0.05),
    Row(name="whole call of 8 stages, blocking", of=STUBBED, unit="us"),
    Row(name="whole call of 8 stages, awaited", of=STUBBED_AWAITED, unit="us"),
    Row(name="whole call, core alone", of="core alone, stub", unit="us"),
    Row(name="whole call, full stack", of="full stack, stub", unit="us"),
)

NO_HOOKS, NO_HOOKS_AGAIN = "core alone, no hook", "core alone, no hook, again"
TEN_HOOKS, TEN_STAGES = "core alone, 10 hooks", "core alone, 10 further stages"
NO_SIGNALS, TEN_SIGNALS, TEN_EMITTED = "no signal", "10 idle signals of the core", "10 idle call.emit()"
REDACTION = "redaction of 10 KB"
UNRECORDED, RECORDED = "500 calls without records", "500 calls with 1,000 records"

COSTS: Final = (
    Row(name="a further hook", of=TEN_HOOKS, to=NO_HOOKS, bound=0.3, steps=10, unit="us"),
    Row(name="a further idle signal of the core", of=TEN_SIGNALS, to=NO_SIGNALS, bound=0.05, steps=10, unit="us"),
    Row(name="a further stage", of=TEN_STAGES, to=NO_HOOKS, bound=0.5, steps=10, unit="us"),
    Row(name="a further call.emit() nobody hears", of=TEN_EMITTED, to=NO_SIGNALS, steps=10, unit="us"),
    Row(name="redaction of 1 KB", of=REDACTION, unit="us", scale=0.1),
    Row(name="a record, built, redacted and written", of=RECORDED, to=UNRECORDED, steps=1000, unit="us"),
)

PYBREAKER, PYBREAKER_AGAIN = "pybreaker, open", "pybreaker, open, again"
REFUSAL, REFUSED_CALL = "our breaker, open", "whole call, open circuit"

REJECTION: Final = (
    Row(name="refusal by an open circuit / pybreaker", of=REFUSAL, to=PYBREAKER, bound=0.5),
    _against(REFUSED_CALL, PYBREAKER),
)

BURST, BURST_AGAIN = "1,000 threads, urllib3", "1,000 threads, urllib3, again"
CORE_BURST, FULL_BURST = "1,000 awaited, core alone", "1,000 awaited, full stack"

CONCURRENT: Final = (
    Row(name="1,000 awaited, core alone / urllib3 threads", of=CORE_BURST, to=BURST, bound=1.20),
    Row(name="1,000 awaited, full stack / urllib3 threads", of=FULL_BURST, to=BURST),
)

THREADED, THREADED_AGAIN = "8 threads, urllib3", "8 threads, urllib3, again"
CORE_THREADED, FULL_THREADED = "8 threads, core alone", "8 threads, full stack"

THREADS: Final = (
    Row(
        name="8 threads, core alone, calls/s / urllib3",
        of=CORE_THREADED,
        to=THREADED,
        statistic="rate",
        bound=0.90,
        at_least=True,
    ),
    Row(name="8 threads, full stack, calls/s / urllib3", of=FULL_THREADED, to=THREADED, statistic="rate"),
)

IMPORT_URLLIB3, IMPORT_AGAIN = "import urllib3", "import urllib3, again"
IMPORT_OURS, IMPORT_ALL = "import nexus_connector", "from nexus_connector import *"
FROM_FILE = "from_file, every plugin"

STARTING: Final = (
    Row(name="import nexus_connector / import urllib3", of=IMPORT_OURS, to=IMPORT_URLLIB3, bound=2.0),
    Row(name="from_file, every plugin", of=FROM_FILE, bound=150.0, unit="ms", scale=0.001),
    _against(IMPORT_ALL, IMPORT_URLLIB3),
)

ONE_ASKING, ONE_ASKING_AGAIN = "1 service, each call asks", "1 service, each call asks, again"
ALL_ASKING = "1,000 services in turn, each call asks"
ONE_SERVICE, ALL_SERVICES = "1 service", "1,000 services in turn"
ONE_STUBBED, ALL_STUBBED = "1 service, stub", "1,000 services in turn, stub"
ONE_OF_ALL_STUBBED = "1 of 1,000 services, stub"
ONE_TENANT, ALL_TENANTS = "1 tenant, stub", "10,000 tenants in turn, stub"
FEW_UNUSED, FEW_UNUSED_AGAIN = "5 unused plugins, stub", "5 unused plugins, stub, again"
MANY_UNUSED = "20 unused plugins, stub"

GROWTH: Final = (
    Row(name="1,000 services in turn / 1, each call asks", of=ALL_ASKING, to=ONE_ASKING, bound=1.10),
    Row(name="10,000 tenants in turn / 1, stub", of=ALL_TENANTS, to=ONE_TENANT, bound=1.10),
    Row(name="20 unused plugins / 5, stub", of=MANY_UNUSED, to=FEW_UNUSED, bound=1.10),
    Row(name="1,000 services in turn / 1", of=ALL_SERVICES, to=ONE_SERVICE),
    Row(name="1 of 1,000 services / 1, stub", of=ONE_OF_ALL_STUBBED, to=ONE_STUBBED),
    Row(name="1,000 services in turn / 1, stub", of=ALL_STUBBED, to=ONE_STUBBED),
)

ROWS: Final[Mapping[str, Sequence[Row]]] = {
    "wire": WIRE,
    "redis": REDIS,
    "pipeline": PIPELINE,
    "costs": COSTS,
    "rejection": REJECTION,
    "concurrent": CONCURRENT,
    "threads": THREADS,
    "starting": STARTING,
    "growth": GROWTH,
}
"""The rows of each group."""


def _control(again: str, once: str) -> Row:
    return Row(name=f"control: {once} / itself", of=again, to=once)


CONTROLS: Final[Mapping[str, Sequence[Row]]] = {
    "wire": (_control(AGAIN, BARE),),
    "redis": (_control(AGAIN, BARE),),
    "pipeline": (_control(AGAIN, BARE),),
    "costs": (_control(NO_HOOKS_AGAIN, NO_HOOKS),),
    "rejection": (_control(PYBREAKER_AGAIN, PYBREAKER),),
    "concurrent": (_control(BURST_AGAIN, BURST),),
    "threads": (_control(THREADED_AGAIN, THREADED),),
    "starting": (_control(IMPORT_AGAIN, IMPORT_URLLIB3),),
    "growth": (_control(ONE_ASKING_AGAIN, ONE_ASKING), _control(FEW_UNUSED_AGAIN, FEW_UNUSED)),
}
"""The controls of each group: something of it measured by itself."""
