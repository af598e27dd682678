"""``circuits()`` and ``nexus circuits``: what they show is what the store has."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import attrs
import pytest

from nexus_connector import Connector, ServiceAdapter, Vendor, hookimpl
from nexus_connector.errors import CircuitOpenError, ConfigurationError
from nexus_connector.verdict import Verdict
from nexus_connector_breaker import Circuit, circuits

Opens = Callable[..., Any]


def test_every_circuit_of_the_configuration_is_there(world: Opens) -> None:
    """Service, region and group, each with its state, also before its first call."""
    endpoints = {
        "GET /orders": {"group": "orders"},
        "GET /search": {"group": "search"},
        "GET /y": {"timeout_seconds": 1},
    }
    services = {
        "crm": {"base_url": ["https://eu.crm.example", "https://us.crm.example"], "endpoints": endpoints},
        "erp": {"base_url": "https://erp.example"},
        "old": {"base_url": "https://old.example", "breaker": False},
        "sdk": {},
    }
    crm = world({}, services=services)
    found = circuits(crm.connector)
    assert [(circuit.service, circuit.region, circuit.group) for circuit in found] == [
        *[("crm", f"{place}.crm.example", group) for place in ("eu", "us") for group in ("", "orders", "search")],
        ("erp", "erp.example", ""),
        ("sdk", None, ""),
    ]
    assert all(circuit == attrs.evolve(circuit, state="closed", reason="", since_seconds=None) for circuit in found)
    assert circuits(crm.connector, "erp") == found[-2:-1]
    assert crm.connector.runtime.process.stores.shared._states == {}, "looking leaves nothing behind"


def test_a_circuit_is_shown_as_it_is(world: Opens) -> None:
    """Closed with failures, open since, half open with and without a probe, closed again."""
    crm = world({"failure_threshold": 3})

    def now() -> Circuit:
        [circuit] = circuits(crm.connector)
        return circuit

    crm.calls(500, 500)
    assert now() == Circuit(service="crm", region="crm.example", group="", state="closed", mode="normal", failures=2)
    crm.calls(500)
    crm.vendors.clock.advance(18)
    opened = now()
    assert (opened.state, opened.failures, opened.reason) == ("open", 3, "3 consecutive failures")
    assert (opened.since_seconds, opened.probe_in_seconds) == (18.0, 42.0)
    crm.vendors.clock.advance(42)
    assert now().probe_in_seconds == 0.0
    seen: list[Circuit] = []
    crm.calls(lambda request: seen.append(now()) or 429)
    assert (seen[0].state, seen[0].probe_in_seconds) == ("half_open", 31.0)
    assert (now().state, now().probe_in_seconds) == ("half_open", 0.0)
    crm.calls(200)
    closed = now()
    assert (closed.state, closed.failures, closed.reason) == ("closed", 0, "probe succeeded")
    assert (closed.since_seconds, closed.probe_in_seconds) == (0.0, None)


def test_the_window_is_shown(world: Opens) -> None:
    """Where shares count: calls, failed and slow ones of the last ``window_seconds``."""
    options = {"failure_rate": 1, "slow_call_rate": 1, "slow_call_seconds": 1, "snapshot_seconds": 0}
    crm = world(options, timeout_seconds=1)
    crm.calls(200, 200, 500, TimeoutError())
    [circuit] = circuits(crm.connector)
    assert (circuit.calls, circuit.failed_calls, circuit.slow_calls, circuit.failures) == (4, 2, 1, 2)
    crm.vendors.clock.advance(60)
    assert circuits(crm.connector)[0].calls == 0


def test_the_circuit_of_run_is_shown_once_it_was_used(world: Opens) -> None:
    """Beside base URLs it appears with its first failure, without region."""

    class Blames:
        @hookimpl
        def classify(self, call: Any, verdict: Verdict, response: Any) -> Verdict | None:
            return attrs.evolve(verdict, health="fail")

    crm = world({"failure_threshold": 2}, plugins=[Blames()])
    assert len(circuits(crm.connector)) == 1
    crm.connector.run("crm", lambda: 1, operation="sdk.do")
    assert [(circuit.region, circuit.failures) for circuit in circuits(crm.connector)] == [
        ("crm.example", 0),
        (None, 1),
    ]


def test_both_faces_are_taken(world: Opens) -> None:
    """An async application looks at its circuits in the same way."""
    crm = world({"failure_threshold": 1})
    crm.calls(500)
    assert circuits(crm.connector.as_async()) == circuits(crm.connector)


def test_looking_needs_no_secret_and_knows_the_adapters_regions() -> None:
    """A status must be there where a secret is missing; the base URL of a vendor comes from its adapter."""
    crm = {
        "adapter": f"{__name__}:Elsewhere",
        "credentials": {"method": "bearer", "token": {"env": "NOT_SET_ANYWHERE"}},
    }
    with Connector.from_config({"services": {"crm": crm}, "plugins": {"only": ["breaker"]}}, check=False) as connector:
        assert [circuit.region for circuit in circuits(connector)] == ["api.elsewhere.example"]
    own = {**crm, "base_url": "https://sandbox.elsewhere.example"}
    with Connector.from_config({"services": {"crm": own}, "plugins": {"only": ["breaker"]}}, check=False) as connector:
        assert [circuit.region for circuit in circuits(connector)] == ["sandbox.elsewhere.example"]


class Elsewhere(ServiceAdapter):
    """A vendor."""

    vendor = Vendor(name="elsewhere", domain="crm", base_url=("https://api.elsewhere.example/v1",))


def test_an_unknown_service_is_an_error(world: Opens) -> None:
    """The text names the nearest one."""
    with pytest.raises(ConfigurationError, match="Did you mean 'crm'"):
        circuits(world({}).connector, "crn")


def test_without_the_plugin_there_are_no_circuits() -> None:
    """Where the breaker takes no part, nothing is claimed to be closed."""
    config = {"services": {"crm": {"base_url": "https://crm.example"}}, "plugins": {"only": []}}
    with Connector.from_config(config) as connector:
        assert circuits(connector) == ()


COMMANDS = entry_points(group="console_scripts", name="nexus")
command_line = pytest.mark.skipif(not COMMANDS, reason="the command line is a plugin of its own, not installed here")

APP = """
from nexus_connector import Connector
from nexus_connector.errors import ConnectorError

services = {
    "crm": {"base_url": "http://127.0.0.1:9", "endpoints": {"GET /o": {"group": "orders/eu"}}},
    "erp": {"base_url": "https://erp.example", "breaker": {"mode": "shadow"}},
    "old": {"base_url": "https://old.example", "breaker": {"mode": "disabled"}},
    "off": {"base_url": "https://off.example", "breaker": {"mode": "force_open"}},
}
breaker = {"failure_threshold": 2, "failure_rate": 1.0}
connector = Connector.from_config({"services": services, "plugins": {"only": ["breaker", "cli"], "breaker": breaker}})
for _ in range(3):
    try:
        connector.service("crm").get("/o")
    except ConnectorError:
        pass
try:
    connector.service("crm").get("/x")
except ConnectorError:
    pass
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
def test_hook_cli_commands(nexus: Callable[..., Any]) -> None:
    """``nexus circuits`` is a command like the others: in the help, with its options before or after it."""
    code, out, _ = nexus("--help")
    assert code == 0
    assert "circuits" in out
    before, after = nexus("--app", "APP", "circuits", "erp"), nexus("circuits", "erp", "--app", "APP")
    assert before == after
    assert before[0] == 0


@command_line
def test_the_table(nexus: Callable[..., Any]) -> None:
    """One line for each circuit: state with its mode, failures, since when, when a probe may pass, why."""
    code, out, err = nexus("--app", "APP", "circuits")
    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert lines[0] == ["service", "region", "group", "state", "failures", "since", "probe", "in", "reason"]
    by_place = {(line[0], line[2]): line for line in lines[2:]}
    opened = by_place["crm", "orders/eu"]
    assert opened[1:5] == ["127.0.0.1:9", "orders/eu", "open", "2"]
    assert opened[6] == "s"
    assert opened[-3:] == ["2", "consecutive", "failures"]
    assert "closed 1 (1 of 1 calls)" in " ".join(by_place["crm", "closed"])
    assert " ".join(by_place["erp", "closed"]) == "erp erp.example closed (shadow) 0"
    assert " ".join(by_place["old", "disabled"]) == "old old.example disabled 0"
    assert " ".join(by_place["off", "open"]) == 'off off.example open (force_open) 0 mode = "force_open"'
    assert "memory://, which is per process: this shows the process that asks" in " ".join(err.split())


@command_line
def test_as_json(nexus: Callable[..., Any]) -> None:
    """``--json``: every field, and whether the store is only this process's."""
    code, out, _ = nexus("--app", "APP", "circuits", "crm", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["store"], told["per_process"]) == ("memory://", True)
    first, second = told["circuits"]
    assert set(first) == {field.name for field in attrs.fields(Circuit)}
    assert (first["group"], first["failures"], first["state"]) == ("", 1, "closed")
    assert (second["group"], second["state"]) == ("orders/eu", "open")
    assert 50 < second["probe_in_seconds"] <= 60


@command_line
def test_an_unknown_service_is_wrong_usage(nexus: Callable[..., Any]) -> None:
    """Exit code 2, and the nearest name."""
    code, out, err = nexus("--app", "APP", "circuits", "crn")
    assert (code, out) == (2, "")
    assert "Did you mean 'crm'?" in err


@command_line
def test_without_any_breaker_it_says_so(nexus: Callable[..., Any], tmp_path: Path) -> None:
    """No empty table."""
    tmp_path.joinpath("connector.toml").write_text(
        '[services.crm]\nbase_url = "https://crm.example"\nbreaker = false\n', encoding="utf-8"
    )
    code, out, _ = nexus("circuits")
    assert (code, out.strip()) == (0, "No service has a breaker that takes part.")


@command_line
def test_a_store_that_does_not_answer_is_said(nexus: Callable[..., Any], tmp_path: Path) -> None:
    """Exit code 2 and what to do, no traceback."""
    shared(tmp_path, gone=True)
    code, out, err = nexus("--app", "shared:connector", "circuits")
    assert (code, out) == (2, "")
    assert "stores.shared does not answer: out of reach." in err


def shared(folder: Path, *, gone: bool = False) -> None:
    """Write an application whose circuits are in a store of its own, which another process could share."""
    text = SHARED.replace("GONE = False", f"GONE = {gone}")
    folder.joinpath("shared.py").write_text(text, encoding="utf-8")
    sys.modules.pop("shared", None)


SHARED = """
from nexus_connector import Connector, hookimpl
from nexus_connector.state import MemoryStore, StoreError

GONE = False


class Elsewhere:
    durable, blocking = False, False

    def __init__(self):
        self.states = MemoryStore(lambda: 1000.0)

    def run(self, items):
        if GONE:
            raise StoreError("out of reach")
        return self.states.run(items)

    def close(self):
        pass


class Stores:
    @hookimpl
    def store(self, url):
        return Elsewhere() if url.startswith("elsewhere:") else None


services = {
    "crm": {
        "base_url": ["https://eu-central-1.a-very-long-name.crm.example", "https://us.crm.example"],
        "endpoints": {"GET /o": {"group": "orders"}},
    },
    "erp": {"base_url": "https://erp.example", "breaker": {"mode": "force_closed"}},
    "old": {"base_url": "https://old.example", "breaker": False},
}
connector = Connector.from_config(
    {
        "stores": {"shared": "elsewhere://me:hunter22@localhost/0"},
        "services": services,
        "plugins": {"only": ["breaker", "cli"]},
    },
    plugins=[Stores()],
)
"""


@command_line
def test_a_shared_store_is_shown_as_one(nexus: Callable[..., Any], tmp_path: Path) -> None:
    """No remark about this process then, and no password of its URL."""
    shared(tmp_path)
    code, out, err = nexus("--app", "shared:connector", "circuits", "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert (told["store"], told["per_process"]) == ("elsewhere://****@localhost/0", False)


@command_line
def test_opened_and_closed_by_hand(nexus: Callable[..., Any], tmp_path: Path) -> None:
    """``--open`` holds a circuit open, ``--open SECONDS`` for so long; the command shows what became of it."""
    shared(tmp_path)
    for arguments, expected in (
        (["--open"], [("open", None)] * 6),
        (["--open", "90", "--region", "us.crm.example"], [("open", 90.0)] * 2),
        (["--open", "--group", "orders"], [("open", None)] * 3),
        (["--close"], [("closed", None)] * 6),
        (["--reset"], [("closed", None)] * 6),
    ):
        code, out, _ = nexus("--app", "shared:connector", "circuits", "crm", *arguments, "--json")
        assert code == 0
        shown = [(each["state"], each["probe_in_seconds"]) for each in json.loads(out)["circuits"]]
        assert shown == expected, arguments


@command_line
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--open"], "Give SERVICE"),
        (["crm", "--open", "--close"], "one of --open, --close and --reset"),
        (["--open", "crm"], "'crm' is none. Write SERVICE before it."),
        (["crm", "--open", "0"], "above 0 to 86400"),
        (["crm", "--open", "nan"], "above 0 to 86400"),
        (["crm", "--close", "--region", "nix"], "There are: 'eu-central-1.a-very-long-name.crm.example', "),
        (["crm", "--close", "--group", "nix"], "There are: '', 'orders'."),
        (["erp", "--open"], 'goes by mode = "force_closed", not by hand'),
        (["old", "--open"], "its breaker is switched off"),
        (["crn", "--open"], "Did you mean 'crm'?"),
    ],
)
def test_wrong_orders_are_said(nexus: Callable[..., Any], tmp_path: Path, arguments: list[str], message: str) -> None:
    """Exit code 2, what is wrong, and nothing is changed."""
    shared(tmp_path)
    code, out, err = nexus("--app", "shared:connector", "circuits", *arguments)
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())


@command_line
def test_no_order_to_a_memory_of_ones_own(nexus: Callable[..., Any]) -> None:
    """With ``memory://`` a command reaches no application: it says so and does nothing."""
    code, out, err = nexus("--app", "APP", "circuits", "crm", "--open")
    assert (code, out) == (2, "")
    assert "no command reaches an application's circuits" in err
    assert "set_circuit(connector, ...)" in err


@command_line
def test_a_narrow_terminal_gets_a_list(
    nexus: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the table does not fit, each circuit has two lines, and no name is broken."""
    shared(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = nexus("--app", "shared:connector", "circuits", "crm", "--open", "90", "--group", "orders")
    assert code == 0
    assert out.splitlines()[:4] == [
        "crm  eu-central-1.a-very-long-name.crm.example  group orders",
        "  open, since 0.0 s, probe in 90 s, by hand",
        "crm  us.crm.example  group orders",
        "  open, since 0.0 s, probe in 90 s, by hand",
    ]


def test_a_refusal_is_what_the_status_says(world: Opens) -> None:
    """Error and status agree on when a probe may pass."""
    crm = world({"failure_threshold": 1})
    crm.calls(500)
    crm.vendors.clock.advance(12.5)
    error = crm.call()
    assert isinstance(error, CircuitOpenError)
    assert error.retry_after == pytest.approx(circuits(crm.connector)[0].probe_in_seconds)
