"""Starting: imports and the building of a connector, each in fresh processes."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Final

import attrs

from . import bounds
from .fresh import Fresh, run_fresh
from .load import Candidate, Machine, measure
from .rows import Measured

_IMPORT: Final = """
import time
started = time.perf_counter()
{statement}
print(time.perf_counter() - started)
"""
_BUILD: Final = """
import time
from nexus_connector import Connector
started = time.perf_counter()
connector = Connector.from_file(sys.argv[1])
print(time.perf_counter() - started)
connector.close()
"""
_TAKING_PART: Final = """
from nexus_connector import Connector
connector = Connector.from_file(sys.argv[1])
print(sum(connector.runtime.waiting(name) is None for name in connector.runtime.plugins))
connector.close()
"""
_CONFIG: Final = """
[stores]
shared = "redis://127.0.0.1:6379/0"
durable = "sqlite:///{folder}/state.db"

[plugins.jsonl]
path = "{folder}/records"

[domains.email]
service = "sendgrid"
sender = "billing@example.com"

[services.sendgrid]
credentials.token = {{ env = "BENCH_TOKEN" }}

[services.postmark]
credentials.key = {{ env = "BENCH_TOKEN" }}

[services.crm]
base_url = ["https://eu.crm.example/api", "https://us.crm.example/api"]
idempotency_header = "Idempotency-Key"
cache = true
limiter = {{ limits = ["10/s", "10000/day"] }}
"""
_ENVIRON: Final = {"BENCH_TOKEN": "a-token-of-the-bench"}


def measure_starting(machine: Machine) -> Measured:
    """Measure what an application waits for before its first call."""
    file = machine.folder / "connector.toml"
    file.write_text(_CONFIG.format(folder=machine.folder), encoding="utf-8")
    candidates: list[Candidate] = [
        _import("import urllib3", bounds.IMPORT_URLLIB3),
        _import("import urllib3", bounds.IMPORT_AGAIN),
        _import("import nexus_connector", bounds.IMPORT_OURS),
        _import("from nexus_connector import *", bounds.IMPORT_ALL),
        Fresh(name=bounds.FROM_FILE, program=_BUILD, arguments=[str(file)], environ=_ENVIRON),
    ]
    readings = measure(candidates, attrs.evolve(machine.plan, calls=1), warm_up=0)
    installed = len(entry_points(group="nexus_connector.plugins"))
    taking_part = int(run_fresh(_TAKING_PART, [str(file)], _ENVIRON))
    assert taking_part == installed, f"{taking_part} of {installed} plugins have something to do"
    return Measured(
        readings=readings,
        notes=[
            f"all {installed} installed plugins have something to do in the file; nothing is connected to",
            "each figure is that of fresh processes, CPU excepted",
        ],
    )


def _import(statement: str, name: str) -> Fresh:
    return Fresh(name=name, program=_IMPORT.format(statement=statement))
