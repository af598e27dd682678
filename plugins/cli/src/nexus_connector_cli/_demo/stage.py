"""The stage: a folder with the demo's configuration, and an emulator for each of its vendors and regions."""

from __future__ import annotations

import difflib
import json
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from nexus_connector import Connector
from nexus_connector.runtime import Runtime
from nexus_connector.testing.emulator import Answer, VendorEmulator

from .script import OutageScript, Script, VendorScript, resource

CONFIG = "connector.toml"
LOCAL = "local.toml"


class Stage:
    """Where the demo takes place, for as long as the ``with`` block.

    Args:
        script: What is emulated.
        folder: Where to write; it must be empty.

    Attributes:
        secrets: The made-up secret of each service.
    """

    def __init__(self, script: Script, folder: Path) -> None:
        self._script = script
        self._emulators = {vendor.service: _emulator(vendor) for vendor in script.vendors}
        self._regions = {name: VendorEmulator(name=name) for name in script.outage.regions}
        self._known = 1
        self._open = ExitStack()
        self.folder = folder
        self.secrets: Mapping[str, str] = {vendor.service: _secret() for vendor in script.vendors}

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            for emulator in (*self._emulators.values(), *self._regions.values()):
                opened.enter_context(emulator)
            for name in self._regions:
                self.heal(name)
            self._write()
            self._open = opened.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open.close()

    def _write(self) -> None:
        self.folder.joinpath(CONFIG).write_text(resource(CONFIG), encoding="utf-8")
        for vendor in self._script.vendors:
            self.folder.joinpath(vendor.secret_file).write_text(self.secrets[vendor.service], encoding="utf-8")
        self._write_places()

    def _write_places(self) -> None:
        lines = ["# Leads each service to its emulator on this machine."]
        places: dict[str, object] = {service: emulator.url for service, emulator in self._emulators.items()}
        places[self.outage.service] = [emulator.url for emulator in self._regions.values()][: self._known]
        for service, place in places.items():
            lines += ["", f"[services.{json.dumps(service)}]", f"base_url = {json.dumps(place)}"]
        self.folder.joinpath(LOCAL).write_text("\n".join([*lines, ""]), encoding="utf-8")

    @property
    def outage(self) -> OutageScript:
        """The service that dies."""
        return self._script.outage

    def swap(self) -> tuple[str, ...]:
        """Change the one value that names the vendor; returns the lines that changed, as in a diff."""
        path = self.folder / CONFIG
        before = path.read_text(encoding="utf-8")
        after = before.replace(self._script.swap.old, self._script.swap.new, 1)
        path.write_text(after, encoding="utf-8")
        return _changes(before, after)

    def add_region(self) -> tuple[str, ...]:
        """Give the service that dies its next region; returns the lines that changed, as in a diff."""
        before = self.folder.joinpath(LOCAL).read_text(encoding="utf-8")
        self._known += 1
        self._write_places()
        return _changes(before, self.folder.joinpath(LOCAL).read_text(encoding="utf-8"))

    def kill(self, region: str) -> None:
        """Let a region fail whatever it is asked."""
        self._regions[region].on(self.outage.route, Answer(500, json={"error": "database gone"}))

    def heal(self, region: str) -> None:
        """Let a region answer."""
        self._regions[region].on(self.outage.route, Answer(json={"orders": [1001]}))

    def asked(self, region: str) -> int:
        """Return how many requests a region received."""
        return len(self._regions[region].arrivals)

    def region_of(self, host: str | None) -> str:
        """Return the name of the region at a host: to the connector it is called by its host."""
        return next((name for name, emulator in self._regions.items() if emulator.host == host), "")

    def connector(self, *hooks: object) -> Connector:
        """Return a connector of the configuration as it is now; the environment of this process has no part in it."""
        paths = [self.folder / CONFIG, self.folder / LOCAL]
        runtime = Runtime(paths=paths, argument=None, plugins=hooks, environ={})
        runtime.check()
        return Connector(runtime)

    def received(self, service: str) -> object:
        """Return the last message that a vendor received."""
        return self._emulators[service].arrivals[-1].json()

    def requests(self, service: str) -> int:
        """Return how many requests a vendor received."""
        return len(self._emulators[service].arrivals)

    def in_clear(self, service: str) -> int:
        """Count how often the secret of a service stands in what the connector wrote."""
        own = {vendor.secret_file for vendor in self._script.vendors}
        written = [path for path in self.folder.rglob("*") if path.is_file() and path.name not in own]
        return sum(path.read_bytes().count(self.secrets[service].encode()) for path in written)


def _emulator(vendor: VendorScript) -> VendorEmulator:
    emulator = VendorEmulator(name=vendor.service)
    emulator.on(vendor.route, *(answer.answer() for answer in vendor.answers))
    return emulator


def _changes(before: str, after: str) -> tuple[str, ...]:
    changed = difflib.ndiff(before.splitlines(), after.splitlines())
    return tuple(line.partition("#")[0].rstrip() for line in changed if line.startswith(("- ", "+ ")))


def _secret() -> str:
    return f"demo-{secrets.token_hex(16)}"
