"""``limits()`` and ``nexus limits``: what they show is what the stores have."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import attrs
import pytest

from nexus_connector import Connector
from nexus_connector.errors import ConfigurationError
from nexus_connector_limiter import Limit, limits

Opens = Callable[..., Any]


def test_every_limit_is_there(world: Opens) -> None:
    """Limits of the service and of operations, permits, budgets: each with what is left."""
    own = {"GET /s": ["2/s"], "GET /none": []}
    crm = world({"limits": ["1000/min"], "endpoints": own, "max_concurrency": 5, "budgets": ["9.5/day"]})
    crm.call("/s")
    assert limits(crm.connector) == (
        Limit(service="crm", kind="rate", limit="1000/min", left=9),
        Limit(service="crm", kind="rate", endpoint="GET /s", limit="2/s", left=0, wait_seconds=0.525501),
        Limit(service="crm", kind="concurrency", limit="5 at once", left=5),
        Limit(service="crm", kind="budget", limit="9.5/day", left=8.5),
    )


def test_the_wait_is_what_a_call_waits(world: Opens) -> None:
    """What the status says is what the next call does."""
    crm = world({"limits": ["10/s"]})
    for _ in range(2):
        crm.call()
    [limit] = limits(crm.connector)
    assert limit.left == 0
    before = crm.now
    crm.call()
    assert crm.now - before == pytest.approx(limit.wait_seconds, abs=1e-6)


def test_what_the_vendor_said_is_shown(world: Opens) -> None:
    """A pause, and what is left of the vendor's own limit, with the time until it is over."""
    crm = world({"limits": ["100/s"], "reset_headers": {}})
    headers = {"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "30"}
    crm.vendors.answer("", (200, None, headers), (429, None, {"Retry-After": "20"}))
    crm.call()
    crm.call()
    rate, left, pause = limits(crm.connector)
    assert rate.left == 0
    assert (left.kind, left.limit, left.left) == ("vendor", "remaining", 6)
    assert (pause.kind, pause.limit) == ("vendor", "pause")
    assert [each.wait_seconds for each in (rate, left, pause)] == pytest.approx([20, 30, 20], abs=0.02)


def test_a_budget_that_is_spent_says_when_there_is_more(world: Opens) -> None:
    """The time until its window ends."""
    crm = world({"budgets": ["1/h"]})
    crm.vendors.clock.advance(600)
    crm.do()
    assert limits(crm.connector) == (Limit(service="crm", kind="budget", limit="1/h", left=0, wait_seconds=3000),)


def test_looking_changes_nothing(world: Opens) -> None:
    """However often somebody looks, the next call finds what it would have found."""
    crm = world({"limits": ["10/s"], "budgets": ["5/day"]})
    crm.call()
    assert limits(crm.connector) == limits(crm.connector, "crm")


def test_an_unknown_service_is_an_error(world: Opens) -> None:
    """The text names the nearest one."""
    with pytest.raises(ConfigurationError, match="Did you mean 'crm'"):
        limits(world({}).connector, "crn")


def test_without_the_plugin_there_are_no_limits() -> None:
    """Where the limiter takes no part, nothing is claimed to be free."""
    config = {"services": {"crm": {"base_url": "https://crm.example"}}, "plugins": {"only": []}}
    with Connector.from_config(config) as connector:
        assert limits(connector) == ()


COMMANDS = entry_points(group="console_scripts", name="nexus")
command_line = pytest.mark.skipif(not COMMANDS, reason="the command line is a plugin of its own, not installed here")

APP = """
from nexus_connector import Connector

services = {
    "crm": {"base_url": "https://crm.example", "limiter": {"limits": ["10/s"], "endpoints": {"GET /o": ["1/s"]}}},
    "erp": {"base_url": "https://erp.example", "limiter": {"budgets": ["5/day"], "max_concurrency": 3}},
    "old": {"base_url": "https://old.example", "limiter": False},
}
connector = Connector.from_config({"services": services, "plugins": {"only": ["limiter", "cli"]}})
"""


@pytest.fixture
def nexus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs ``nexus`` in a folder with an application; returns code, output and notes."""
    module = f"app_of_{tmp_path.name}".replace("-", "_")
    tmp_path.joinpath(f"{module}.py").write_text(APP, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("NEXUS_APP", "NEXUS_CONFIG", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        given = [each.replace("APP", f"{module}:connector") for each in arguments]
        monkeypatch.setattr(sys, "argv", ["nexus", *given])
        [command] = COMMANDS
        with pytest.raises(SystemExit) as ended:
            command.load()()
        sys.modules.pop(module, None)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@command_line
def test_hook_cli_commands(nexus: Callable[..., Any], tmp_path: Path) -> None:
    """``nexus limits`` is a command like the others: in the help, with its options before or after it."""
    tmp_path.joinpath("connector.toml").write_text('[plugins.limiter]\nlimits = ["1/s"]\n')
    code, out, _ = nexus("--help")
    assert code == 0
    assert "limits" in out
    before, after = nexus("--app", "APP", "limits", "erp"), nexus("limits", "erp", "--app", "APP")
    assert before == after
    assert before[0] == 0


@command_line
def test_the_table(nexus: Callable[..., Any]) -> None:
    """One line for each limit, and a word about memory that only this process sees."""
    code, out, err = nexus("--app", "APP", "limits")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert lines[0] == "service endpoint limit kind left wait"
    assert lines[2:] == [
        "crm 10/s rate 1",
        "crm GET /o 1/s rate 1",
        "erp 3 at once concurrency 3",
        "erp 5/day budget 5",
    ]
    assert "memory://, which is per process: this shows the process that asks" in " ".join(err.split())


@command_line
def test_as_json(nexus: Callable[..., Any]) -> None:
    """``--json``: every field, and whether the store is only this process's."""
    code, out, _ = nexus("--app", "APP", "limits", "crm", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["store"], told["per_process"]) == ("memory://", True)
    assert set(told["limits"][0]) == {field.name for field in attrs.fields(Limit)}
    assert [limit["limit"] for limit in told["limits"]] == ["10/s", "1/s"]


@command_line
def test_without_any_limits_it_says_so(nexus: Callable[..., Any], tmp_path: Path) -> None:
    """No empty table."""
    tmp_path.joinpath("connector.toml").write_text('[services.crm]\nbase_url = "https://crm.example"\nlimiter = {}\n')
    code, out, _ = nexus("limits")
    assert (code, out.strip()) == (0, "No service has limits.")


@command_line
def test_an_unknown_service_is_wrong_usage(nexus: Callable[..., Any]) -> None:
    """Exit code 2, and the nearest name."""
    code, out, err = nexus("--app", "APP", "limits", "crn")
    assert (code, out) == (2, "")
    assert "Did you mean 'crm'?" in err
