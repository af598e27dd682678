from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
from click.testing import CliRunner

from nexus_connector.testing.emulator import Answer, Compute, VendorEmulator
from nexus_connector_cli._group import new_group

_SAYING = {"COLUMNS", "FORCE_COLOR", "NO_COLOR", "WEB_CONCURRENCY"}
WriteFile: TypeAlias = Callable[[str, str], Path]


@attrs.frozen
class Ran:
    """What a run of ``nexus`` left behind."""

    code: int
    out: str
    err: str
    error: BaseException | None = None

    @property
    def json(self) -> Any:
        """Standard output, read as the one JSON document that it is."""
        return json.loads(self.out)


Nexus: TypeAlias = Callable[..., Ran]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test works in an empty folder, and with an environment that says nothing of nexus, colours or workers."""
    for name in [*os.environ]:
        if name.startswith(("NEXUS", "GUNICORN_", "UVICORN_", "GRANIAN_", "UWSGI_")) or name in _SAYING:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.fixture
def nexus(monkeypatch: pytest.MonkeyPatch) -> Generator[Nexus]:
    """Run ``nexus`` in this process."""
    splits = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}
    before = set(sys.modules)

    def run(*arguments: object, env: dict[str, str] | None = None) -> Ran:
        result = CliRunner(**splits).invoke(new_group(), [str(each) for each in arguments], prog_name="nexus", env=env)
        unexpected = result.exception is not None and not isinstance(result.exception, SystemExit)
        assert not unexpected, repr(result.exception)
        return Ran(result.exit_code, result.stdout, result.stderr, result.exception)

    yield run
    for name in set(sys.modules) - before:
        if name.startswith("app_of_"):
            del sys.modules[name]


@pytest.fixture
def shell(folder: Path) -> Nexus:
    """Run ``nexus`` in a process of its own, as a shell does."""

    def run(*arguments: object, command: tuple[str, ...] = (sys.executable, "-m", "nexus_connector_cli")) -> Ran:
        done = subprocess.run(
            [*command, *map(str, arguments)], capture_output=True, text=True, timeout=60, cwd=folder, check=False
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def config(folder: Path) -> Callable[[str], Path]:
    """Write ./connector.toml."""

    def write(text: str) -> Path:
        path = folder / "connector.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def vendor() -> Generator[VendorEmulator]:
    """A vendor whose /echo answers what it was sent, the credentials included."""
    with VendorEmulator(name="crm") as emulator:
        emulator.on("GET /orders/7", Answer(json={"id": 7, "access_token": "of the user's own data"}))
        emulator.on("/echo", Compute(lambda arrival: Answer(json=_echo(arrival))))
        yield emulator


def _echo(arrival: Any) -> dict[str, object]:
    return {"query": arrival.query, "headers": dict(arrival.headers), "body": arrival.body.decode()}


@pytest.fixture
def canary() -> str:
    """Stands where a secret would; no output may ever hold it."""
    return "canary-7f3a91c4e8-canary"


@pytest.fixture
def crm(
    config: Callable[[str], Path], vendor: VendorEmulator, canary: str, monkeypatch: pytest.MonkeyPatch
) -> VendorEmulator:
    """A configured service with a secret, served by `vendor`."""
    monkeypatch.setenv("CRM_TOKEN", canary)
    config(f"""
        [services.crm]
        base_url = "{vendor.url}"
        [services.crm.credentials]
        token = {{ env = "CRM_TOKEN" }}
    """)
    return vendor


@pytest.fixture
def app(folder: Path) -> Callable[[str], str]:
    """Write an application; returns the name of its module."""
    count = iter(range(100))

    def write(source: str) -> str:
        name = f"app_of_{folder.name}_{next(count)}".replace("-", "_")
        folder.joinpath(f"{name}.py").write_text(source, encoding="utf-8")
        return name

    return write


@pytest.fixture
def install(folder: Path) -> Callable[..., None]:
    """Install a distribution with one module and its entry points, for this test only."""

    def write(name: str, source: str, *, plugins: str = "", vendors: str = "") -> None:
        site = folder / "site"
        info = site / f"{name}-1.2.3.dist-info"
        info.mkdir(parents=True)
        info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n")
        info.joinpath("entry_points.txt").write_text(
            f"[nexus_connector.plugins]\n{plugins}\n[nexus_connector.vendors]\n{vendors}\n"
        )
        site.joinpath(f"app_of_{name}.py").write_text(source, encoding="utf-8")
        sys.path.insert(0, str(site))

    return write
