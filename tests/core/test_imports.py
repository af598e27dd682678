"""What is imported when: a program that starts waits for what it uses, not for all that there is."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import attrs
import pytest

import nexus_connector
from nexus_connector import Connector, option
from nexus_connector.config import Config
from nexus_connector.config.reading import read
from nexus_connector.config.tables import Tables

BUILT_WITH = ("cattrs", "tomllib", "nexus_connector.assembly", "nexus_connector.compiling", "nexus_connector.config")
"""What building a connector needs, and holding its class does not."""
OF_SOME = ("asyncio", "difflib", "nexus_connector.async_connector", "nexus_connector.contracts")
"""What only some programs need: an event loop, the nearest word to a misspelt one, a domain."""

CALLS = """
import socket, sys, threading

before = set(sys.modules)
from nexus_connector import Connector

def answer(listener):
    with listener.accept()[0] as peer:
        peer.recv(65536)
        peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: 2\\r\\n\\r\\n{}")

with socket.create_server(("127.0.0.1", 0)) as listener:
    threading.Thread(target=answer, args=(listener,)).start()
    services = {"crm": {"base_url": f"http://127.0.0.1:{listener.getsockname()[1]}"}}
    with Connector.from_config({"services": services, "plugins": {"only": []}}) as connector:
        built = set(sys.modules)
        assert connector.service("crm").get("/").status == 200
        print(*[name for name in set(sys.modules) - built if name.startswith("nexus_connector")])
        print(*set(sys.modules) - before)
"""


def loads(program: str) -> set[str]:
    """What a program in a process of its own loads beside what any process has."""
    program = f"import sys\nbefore = set(sys.modules)\n{program}\nprint(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_imports_nothing_by_itself() -> None:
    """``import nexus_connector``: its names are found when they are asked for."""
    loaded = loads("import nexus_connector")
    assert {name for name in loaded if name.startswith("nexus_connector")} == {"nexus_connector"}
    assert loaded.isdisjoint({"attrs", "asyncio", "cattrs", "pluggy", "urllib3"})


def test_the_connector_comes_without_what_builds_it() -> None:
    """The class brings what calls need; what reads a configuration comes when one is read."""
    loaded = loads("from nexus_connector import Connector")
    assert {"nexus_connector.execution", "nexus_connector.transport.pool", "urllib3"} <= loaded
    assert loaded.isdisjoint({*BUILT_WITH, *OF_SOME})


def test_a_blocking_program_needs_no_event_loop() -> None:
    """Building a connector and calling with it loads neither asyncio nor a domain that nobody uses."""
    done = subprocess.run([sys.executable, "-c", CALLS], capture_output=True, text=True, check=True)
    _, loaded = done.stdout.splitlines()
    assert set(loaded.split()).isdisjoint(OF_SOME)


def test_the_first_call_waits_for_no_import() -> None:
    """A connector that has been built has all that a call of a service needs."""
    done = subprocess.run([sys.executable, "-c", CALLS], capture_output=True, text=True, check=True)
    first, _ = done.stdout.splitlines()
    assert first == ""


def test_the_pytest_plugin_brings_no_connector() -> None:
    """It is loaded in every run of pytest where the package is installed, also in those that never use it."""
    loaded = {name for name in loads("import nexus_connector.testing.pytest_plugin") if "nexus_connector" in name}
    kit = {"nexus_connector.testing", "nexus_connector.testing.fake", "nexus_connector.testing.pytest_plugin"}
    assert loaded == {"nexus_connector", *kit}


def declared() -> dict[str, str]:
    """Names of the package and the modules that they come from, as type checkers see them."""
    tree = ast.parse(Path(nexus_connector.__file__).read_text(encoding="utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module or "" for node in imports for alias in node.names}


def test_checkers_and_programs_see_the_same_names() -> None:
    """What is imported for type checkers, what ``__all__`` lists and what is found when it is asked for."""
    names = declared()
    assert sorted(names) == sorted(nexus_connector.__all__)
    for name, module in names.items():
        assert getattr(nexus_connector, name) is getattr(import_module(f"nexus_connector.{module}"), name)


def test_a_star_brings_every_name() -> None:
    """``from nexus_connector import *`` and ``dir()`` know names that nothing has asked for yet."""
    program = "import nexus_connector\nassert set(dir(nexus_connector)) >= set(nexus_connector.__all__)\n"
    program += "from nexus_connector import *\nassert set(globals()) >= set(nexus_connector.__all__)"
    assert "nexus_connector.contracts.payments" in loads(program)


def test_modules_are_attributes_of_the_package() -> None:
    """``nexus_connector.errors`` is there without an import of its own; what is nowhere is an AttributeError."""
    program = "import nexus_connector\nassert nexus_connector.errors.ConnectorError\n"
    assert "nexus_connector.errors" in loads(program)
    with pytest.raises(AttributeError, match=r"^module 'nexus_connector' has no attribute 'connectors'$"):
        getattr(nexus_connector, "connectors")  # noqa: B009  # a checker knows that it is not there


def test_the_environment_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look at what is installed serves plugins and adapters of every service: it reads a file of each package."""
    looks: list[object] = []

    def look(**wanted: str) -> object:
        looks.append(wanted)
        return entry_points(**wanted)

    entry_points = import_module("importlib.metadata").entry_points
    monkeypatch.setattr("nexus_connector.plugins.entry_points", look)
    services = {f"crm{number}": {"base_url": "https://crm.example"} for number in range(5)}
    with Connector.from_config({"services": services}):
        assert looks == [{}]


@attrs.frozen(kw_only=True)
class Options:
    """The options of a plugin."""

    tries: int = option(1, "How often.")


def test_services_share_the_options_that_are_no_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand services without options of their own keep one object, read once; an override makes another."""
    reads: list[str] = []

    def count(raw: object, kind: type[Options], path: str) -> Options:
        reads.append(path)
        return read(raw, kind, path)

    monkeypatch.setattr("nexus_connector.config.tables.read", count)
    tables = Tables(config=Config(), defaults={"acme": {"tries": 2}}, overrides={"two": {"acme": {"tries": 3}}})
    found = [tables.read("acme", Options, service) for service in ("one", "two", "three", "four")]
    assert [options and options.tries for options in found] == [2, 3, 2, 2]
    assert found[0] is found[2] is found[3]
    assert reads == ["plugins.acme", "services.two.acme"]
