"""The pytest plugin: keeps a test suite on this machine, and lends it an emulated vendor.

It is loaded by every pytest run of an environment that has the package, so it does nothing before it is asked to:
``nexus_connector_network = "loopback"`` in pytest's configuration (or ``--nexus-network=loopback``) switches the
protection on, ``@pytest.mark.nexus_network("any")`` lifts it for one test, say a live test of a vendor.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

if TYPE_CHECKING:
    from .emulator import VendorEmulator

_ANY: Final = "any"
_LOOPBACK: Final = "loopback"
_CONNECTS: Final = ("connect", "connect_ex", "sendto")
_LOOKUPS: Final = ("getaddrinfo", "gethostbyname", "gethostbyname_ex")


class NetworkBlockedError(RuntimeError):
    """A test wanted to leave this machine. No OSError: code under test would take it for an outage and hide it.

    >>> str(NetworkBlockedError("api.vendor.example"))[:46]
    'This test wanted to reach api.vendor.example, '
    """

    def __init__(self, host: str) -> None:
        super().__init__(
            f"This test wanted to reach {host}, which is not this machine. Use nexus_connector.testing.fake or the "
            'vendor_emulator fixture; for a live test, @pytest.mark.nexus_network("any").'
        )
        self.host = host


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the option, in pytest's configuration and on its command line."""
    text = f"{_LOOPBACK!r} refuses connections and look-ups that leave this machine; {_ANY!r} lets them through"
    parser.addini("nexus_connector_network", f"{text} (default)", default=_ANY)
    group = parser.getgroup("nexus-connector")
    group.addoption("--nexus-network", choices=(_ANY, _LOOPBACK), default=None, help=f"{text}; wins over the ini file")


def pytest_configure(config: pytest.Config) -> None:
    """Switch the protection on for the whole run, imports and collection included."""
    config.addinivalue_line("markers", 'nexus_network(reach): "any" or "loopback", for this test alone')
    reach = config.getoption("--nexus-network") or config.getini("nexus_connector_network")
    _set_reach(config, _checked(reach, "nexus_connector_network"))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave the socket module as it was."""
    _set_reach(config, _ANY)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Obey the test's own marker, from its first fixture to its last."""
    mark = item.get_closest_marker("nexus_network")
    if mark is None:
        return (yield)
    before = _LOOPBACK if _GUARD in item.config.stash else _ANY
    _set_reach(item.config, _checked(mark.args[0] if mark.args else None, f"nexus_network of {item.nodeid}"))
    try:
        return (yield)
    finally:
        _set_reach(item.config, before)


@pytest.fixture
def vendor_emulator() -> Generator[VendorEmulator]:
    """A vendor on 127.0.0.1, started; its `url` is a base URL."""
    from .emulator import VendorEmulator  # here: runs that do not use it do not pay for it

    with VendorEmulator() as emulator:
        yield emulator


def _checked(reach: object, where: str) -> str:
    if reach not in {_ANY, _LOOPBACK}:
        message = f"{where} is {reach!r}; it can be {_ANY!r} or {_LOOPBACK!r}"
        raise pytest.UsageError(message)
    return str(reach)


class _Guard:
    """Stands before the functions by which a process leaves its machine, until it is told to go."""

    def __init__(self) -> None:
        self._undo = pytest.MonkeyPatch()
        for name in _CONNECTS:
            self._undo.setattr(socket.socket, name, _guarded_socket(getattr(socket.socket, name)))
        for name in _LOOKUPS:
            self._undo.setattr(socket, name, _guarded_lookup(getattr(socket, name)))

    def leave(self) -> None:
        self._undo.undo()


_GUARD: Final = pytest.StashKey[_Guard]()


def _set_reach(config: pytest.Config, reach: str) -> None:
    guard = config.stash.get(_GUARD, None)
    if reach == _LOOPBACK and guard is None:
        config.stash[_GUARD] = _Guard()
    elif reach == _ANY and guard is not None:
        guard.leave()
        del config.stash[_GUARD]


def _guarded_socket(original: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, *arguments: Any) -> Any:
        # The address comes last, also in sendto(data, flags, address).
        if self.family in {socket.AF_INET, socket.AF_INET6} and arguments and isinstance(arguments[-1], tuple):
            _check(cast("tuple[object, ...]", arguments[-1])[0])
        return original(self, *arguments)

    return guarded


def _guarded_lookup(original: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(host: Any, *arguments: Any, **options: Any) -> Any:
        _check(host)
        return original(host, *arguments, **options)

    return guarded


def _check(host: object) -> None:
    if isinstance(host, bytes | bytearray):
        host = host.decode("ascii", "replace")
    if isinstance(host, str) and not _is_here(host):
        raise NetworkBlockedError(host)


def _is_here(host: str) -> bool:
    """Say whether a name is this machine without asking anybody; an empty one listens on every interface."""
    if host in {"", "localhost"} or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
