"""The script: what ``demo.toml`` says about vendors, their answers and the one value that is swapped."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

import attrs

from nexus_connector.config.reading import read
from nexus_connector.plugins import PLUGIN_GROUP, VENDOR_GROUP
from nexus_connector.testing.emulator import Answer


@attrs.frozen(kw_only=True)
class AnswerScript:
    """One answer of an emulated vendor.

    Attributes:
        status: HTTP status.
        headers: Header fields.
        json: Body; ``None``: it is empty.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    json: Mapping[str, object] | None = None

    def answer(self) -> Answer:
        """Return it as the emulator takes it."""
        return Answer(self.status, headers=self.headers, json=... if self.json is None else self.json)


@attrs.frozen(kw_only=True)
class VendorScript:
    """An emulated vendor.

    Attributes:
        service: Its service in the configuration, called like its adapter.
        route: Where it takes an email, as ``POST /path``.
        secret_file: File in which the configuration looks for its secret.
        secret_header: Header in which the secret travels.
        answers: What it answers, in order; the last one repeats.
    """

    service: str
    route: str
    secret_file: str
    secret_header: str
    answers: tuple[AnswerScript, ...]


@attrs.frozen(kw_only=True)
class OutageScript:
    """A service that dies in its first region.

    Attributes:
        service: Its service in the configuration.
        route: What is asked of it, as ``GET /path``.
        regions: Names of its regions, in order of preference.
    """

    service: str
    route: str
    regions: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Swap:
    """The one line that changes the vendor: it stands in the configuration exactly once."""

    old: str
    new: str


@attrs.frozen(kw_only=True)
class Next:
    """A command to go on with, shown if it exists."""

    command: str
    text: str


@attrs.frozen(kw_only=True)
class Script:
    """Everything the demo is told.

    Attributes:
        vendors: The vendors, in the order in which they are used.
        swap: What makes the second one of the first.
        outage: The service that dies.
        next: Commands to go on with.
    """

    vendors: tuple[VendorScript, ...]
    swap: Swap
    outage: OutageScript
    next: tuple[Next, ...] = ()

    @classmethod
    def load(cls) -> Script:
        """Read the script that comes with this package."""
        return read(tomllib.loads(resource("demo.toml")), cls, "demo.toml")

    def missing(self) -> list[str]:
        """Return the distributions that the demo needs and that are not installed."""
        needs: dict[str, Any] = tomllib.loads(resource("connector.toml"))["plugins"]
        plugins = {entry.name for entry in entry_points(group=PLUGIN_GROUP)}
        vendors = {entry.name for entry in entry_points(group=VENDOR_GROUP)}
        names = [name for name in needs["require"] if name not in plugins]
        names += [vendor.service for vendor in self.vendors if vendor.service not in vendors]
        return [f"nexus-connector-{name.replace('_', '-')}" for name in names]


def resource(name: str) -> str:
    """Return the text of a file that lies beside this module."""
    return files(__package__ or "").joinpath(name).read_text(encoding="utf-8")
