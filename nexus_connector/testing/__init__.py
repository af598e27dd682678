"""The test kit: fakes, virtual time, a vendor on loopback, and suites for authors of plugins and adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .fake import Answerable, Clock, Fake, fake

if TYPE_CHECKING:
    from ._fake_io import Sent
    from .emulator import VendorEmulator
    from .suites import AdapterContract, Fault, GateContract, Sample, StageContract, StoreContract

__all__ = [
    "AdapterContract",
    "Answerable",
    "Clock",
    "Fake",
    "Fault",
    "GateContract",
    "Sample",
    "Sent",
    "StageContract",
    "StoreContract",
    "VendorEmulator",
    "fake",
]

_LATER = {
    "Sent": "_fake_io",
    "VendorEmulator": "emulator",
    "AdapterContract": "suites",
    "Fault": "suites",
    "GateContract": "suites",
    "Sample": "suites",
    "StageContract": "suites",
    "StoreContract": "suites",
}


def __getattr__(name: str) -> object:
    """Import what needs the connector, a server or pytest only when it is asked for."""
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
