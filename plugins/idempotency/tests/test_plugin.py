"""The plugin as the core sees it: its entry, its hooks, its pure modules, its README."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from nexus_connector import Connector, PendingOutcome
from nexus_connector.config import ServiceConfig
from nexus_connector.errors import InvalidRequestError, OutcomeUnknownError
from nexus_connector.outcomes import Claims
from nexus_connector.plugins import new_registry, register
from nexus_connector.setup import ServiceSetup
from nexus_connector.state import MemoryStore
from nexus_connector.testing import fake
from nexus_connector_idempotency import IdempotencyOptions, plugin
from nexus_connector_idempotency._stage import IdempotencyStage

Opens = Callable[..., Any]
README = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
COMMANDS = [each for each in entry_points(group="console_scripts") if each.name == "nexus"]
command_line = pytest.mark.skipif(not COMMANDS, reason="the command line is a plugin of its own, not installed here")


def stages(options: IdempotencyOptions | None, *, durable: bool = True) -> list[Any]:
    """What the plugin's hook returns, called as the core calls it."""
    registry = new_registry()
    register(registry, plugin.factory(IdempotencyOptions()), plugin.name)
    store = MemoryStore(lambda: 0.0)
    setup = ServiceSetup(
        name="crm",
        config=ServiceConfig(),
        shared=store,
        durable=store if durable else None,
        max_inline_wait_seconds=5.0,
        now=lambda: 0.0,
        emit=lambda event: None,
        options=lambda kind: options if kind is IdempotencyOptions else None,
    )
    return [stage for found in registry.hook.stages(config=setup) for stage in found]


def test_hook_stages() -> None:
    """Each service gets one stage of its own at slot 200, which keeps claims, with the service's options."""
    (first,), (second,) = stages(IdempotencyOptions(keep_seconds=1)), stages(IdempotencyOptions())
    assert isinstance(first, IdempotencyStage)
    assert isinstance(first, Claims)
    assert (first.name, first.slot, first.claims_keys) == ("idempotency", 200, True)
    assert (first._options.keep_seconds, second._options.keep_seconds) == (1, 86_400)
    assert first._ledger is not second._ledger


def test_switched_off_there_is_no_stage() -> None:
    """``idempotency = false`` takes the stage out of the chain."""
    assert stages(None) == []


def test_without_a_durable_store_there_is_no_stage() -> None:
    """Claims that end with the process are worse than none: a key is refused instead of ignored."""
    assert stages(IdempotencyOptions(), durable=False) == []
    config = {"services": {"crm": {"base_url": "https://crm.example"}}, "plugins": {"only": ["idempotency"]}}
    with Connector.from_config(config) as connector, fake(connector) as vendors:
        vendors.answer("crm", 201)
        with pytest.raises(InvalidRequestError, match="nothing here keeps them"):
            connector.service("crm").post("/orders", idempotency_key="k")
        assert connector.service("crm").post("/orders").status == 201


def test_run_is_not_surrounded(world: Opens) -> None:
    """A call of a vendor's own SDK has no request that could be compared or answer that could be kept."""
    crm = world()
    assert crm.connector.run("crm", lambda: 7, operation="sdk.pay") == 7
    assert crm.store.ran == []


def test_the_plugin_is_called_idempotency() -> None:
    """The plugin has the name under which it is configured, and defaults for every option."""
    assert plugin.name == "idempotency"
    assert plugin.config() == IdempotencyOptions()


@pytest.mark.parametrize(
    "wrong",
    [
        {"keep_seconds": 0},
        {"payments_keep_seconds": -1},
        {"unknown_keep_seconds": 1},
        {"vendor_keep_seconds": -1},
        {"max_stored_bytes": -1},
        {"max_stored_bytes": 1 << 30},
        {"when_store_down": "ignore"},
        {"keep_seconds": 1e12},
    ],
    ids=str,
)
def test_options_have_ranges(wrong: dict[str, Any]) -> None:
    """What makes no sense is refused."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        IdempotencyOptions(**wrong)


@pytest.mark.parametrize("name", ["_machine", "_index"])
def test_decisions_are_pure(name: str) -> None:
    """Time comes to them as an argument: they import nothing that waits or throws dice."""
    module = import_module(f"nexus_connector_idempotency.{name}")
    tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= {"__future__", "collections.abc", "typing", "zlib", "attrs", "nexus_connector.state"}


def test_the_readme_lists_every_option() -> None:
    """The table of the README has every option with its default."""
    for field in attrs.fields(IdempotencyOptions):
        default = f'"{field.default}"' if isinstance(field.default, str) else f"{field.default:.7g}"
        assert f"| `{field.name}` | {default} |" in README


def test_the_readme_is_right_about_python(capsys: pytest.CaptureFixture[str]) -> None:
    """Its example runs as it stands, and prints what stands below it."""
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})
    assert re.findall(r"```text\n(.*?)```", README, re.DOTALL) == [capsys.readouterr().out]


@pytest.fixture
def nexus(
    world: Opens, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs ``nexus`` on a connector with two open outcomes."""
    crm = world()
    crm.vendors.answer("crm", 500)
    crm.failed(OutcomeUnknownError, "k1", tenant_id="acme")
    crm.vendors.clock.advance(1)
    crm.failed(OutcomeUnknownError, "k2")
    module = SimpleNamespace(connector=crm.connector, crm=crm)
    monkeypatch.setitem(sys.modules, "app_of_the_test", cast("Any", module))
    monkeypatch.setattr(crm.connector, "close", lambda: None)
    monkeypatch.setenv("COLUMNS", "300")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nexus", *arguments, "--app", "app_of_the_test:connector"])
        [command] = COMMANDS
        with pytest.raises(SystemExit) as ended:
            command.load()()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def found_in(out: str) -> list[Any]:
    """The outcomes of a JSON report."""
    found: list[Any] = json.loads(out)["outcomes"]
    return found


@command_line
def test_hook_cli_commands(nexus: Callable[..., Any]) -> None:
    """``nexus outcomes`` is a command like the others: each open outcome with what is known of it, the oldest first."""
    code, out, _ = nexus("outcomes")
    lines = out.splitlines()
    heads = [line for line in lines if not line.startswith(" ")]
    assert code == 0
    assert [line.split(maxsplit=1)[1] for line in heads] == ["POST /orders of crm  unknown"] * 2
    assert [line.strip() for line in lines if "key " in line] == [
        "key k1, tenant acme, since 2026-01-01 00:00:00 UTC",
        "key k2, since 2026-01-01 00:00:01 UTC",
    ]


@command_line
def test_as_json(nexus: Callable[..., Any]) -> None:
    """``--json``: every field; the list may be of one service."""
    code, out, _ = nexus("outcomes", "crm", "--json")
    one, two = found_in(out)
    assert code == 0
    assert set(one) == {field.name for field in attrs.fields(PendingOutcome)}
    assert (one["idempotency_key"], one["tenant_id"], one["state"]) == ("k1", "acme", "unknown")
    assert (two["since"], two["tenant_id"]) == ("2026-01-01T00:00:01+00:00", None)
    code, _, err = nexus("outcomes", "crn")
    assert (code, "Did you mean 'crm'?" in err) == (2, True)


@command_line
@pytest.mark.parametrize("outcome", ["done", "refused"])
def test_settling(nexus: Callable[..., Any], outcome: str) -> None:
    """``--settle CALL_ID --as``: it is said, it is out of the list, and a second time there is nothing to settle."""
    _, out, _ = nexus("outcomes", "--json")
    call_id = found_in(out)[0]["call_id"]
    code, out, _ = nexus("outcomes", "--settle", call_id, "--as", outcome)
    assert (code, out.split()) == (0, ["Call", call_id, "is", "settled", "as", f"{outcome}."])
    _, out, _ = nexus("outcomes", "--json")
    assert [each["idempotency_key"] for each in found_in(out)] == ["k2"]
    code, out, err = nexus("outcomes", "--settle", call_id, "--as", outcome)
    assert (code != 0, out) == (True, "")
    assert "No open outcome belongs to call" in err


@command_line
@pytest.mark.parametrize("arguments", [("--settle", "X"), ("--as", "done"), ("--settle", "X", "--as", "unknown")])
def test_wrong_usage(nexus: Callable[..., Any], arguments: Any) -> None:
    """Half an order settles nothing: exit code 2."""
    code, out, _ = nexus("outcomes", *arguments)
    assert (code, out) == (2, "")


@command_line
def test_an_empty_list_says_why(nexus: Callable[..., Any], world: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is open, or nobody keeps claims: no empty table."""
    empty = world()
    off = world(idempotency=False)
    for crm, text in ((empty, "No outcome is open."), (off, "No service keeps claims: set stores.durable.")):
        monkeypatch.setattr(crm.connector, "close", lambda: None)
        monkeypatch.setattr(sys.modules["app_of_the_test"], "connector", crm.connector)
        code, out, _ = nexus("outcomes")
        assert (code, out.strip()) == (0, text)


def test_it_waits_for_a_durable_store() -> None:
    """Without ``stores.durable`` it takes no part, and says which key it waits for."""
    config = {"services": {"crm": {"base_url": "https://crm.example"}}, "plugins": {"only": ["idempotency"]}}
    with Connector.from_config(config) as connector:
        assert connector.runtime.waiting("idempotency") == "stores.durable"
        assert "idempotency" not in [entry.name for entry in connector.explain("crm")]
