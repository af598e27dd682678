from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest

from nexus_connector import IntegrationLog, IntegrationStatus, Outcome

MakeRecord: TypeAlias = Callable[..., IntegrationLog]
RunPython: TypeAlias = Callable[..., str]

NOON = datetime(2025, 11, 20, 12, tzinfo=UTC)
RECORD = IntegrationLog(
    id="01KAGW0000",
    kind="attempt",
    call_id="01KAGWCALL",
    parent_id=None,
    tenant_id="acme",
    service_name="crm",
    operation="POST /orders",
    region="eu.crm.example",
    endpoint="https://eu.crm.example/orders",
    method="POST",
    status=IntegrationStatus.SUCCESS,
    outcome=Outcome.DONE,
    http_status_code=201,
    duration_ms=12.5,
    request_data={"headers": {"Content-Type": "application/json"}, "body": {"sku": "a-1", "count": 2}},
    response_data={"headers": {"Content-Type": "application/json"}, "body": {"id": 17}},
    error_message=None,
    attempt_number=1,
    vendor_reference="req-1",
    created_at=NOON,
)


@pytest.fixture
def make_record() -> MakeRecord:
    """Make a record, `second` seconds after noon, with some fields changed."""

    def make(name: str = "01KAGW0000", *, second: float = 0, **changes: Any) -> IntegrationLog:
        return attrs.evolve(RECORD, id=name, created_at=NOON + timedelta(seconds=second), **changes)

    return make


@pytest.fixture
def run_python(tmp_path: Path) -> RunPython:
    """Run a script in a process of its own and return what it printed."""

    def run(script: str, *arguments: object, prelude: str = PRELUDE) -> str:
        command: Sequence[str] = [sys.executable, "-c", prelude + script, *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, cwd=tmp_path).stdout

    return run


PRELUDE = """
import atexit, errno, json, os, signal, sys
from datetime import UTC, datetime, timedelta
from nexus_connector import IntegrationLog, IntegrationStatus, Outcome
from nexus_connector_jsonl import JsonlOptions, plugin

directory = sys.argv[1]

def record(name, body=None):
    return IntegrationLog(id=name, kind="attempt", call_id="c", parent_id=None, tenant_id=None, service_name="crm",
        operation="o", region=None, endpoint="e", method="GET", status=IntegrationStatus.SUCCESS, outcome=Outcome.DONE,
        http_status_code=200, duration_ms=1.0, request_data=body, response_data=None, error_message=None,
        attempt_number=1, vendor_reference=None, created_at=datetime(2025, 11, 20, 12, tzinfo=UTC))

def sink(**options):
    return plugin.factory(JsonlOptions(path=directory, **options))
"""


@pytest.fixture
def prelude() -> str:
    """Return what scripts for `run_python` begin with: `directory`, `record(name)`, `sink()`."""
    return PRELUDE
