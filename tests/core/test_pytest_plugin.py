"""The pytest plugin: what it refuses, what it lets through, and that it does nothing before it is asked to."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

import pytest

from nexus_connector.testing.emulator import Answer, VendorEmulator
from nexus_connector.testing.pytest_plugin import NetworkBlockedError

pytest_plugins = ["pytester"]

ELSEWHERE = ("203.0.113.1", 443)
"""An address for documentation (RFC 5737): nobody answers there."""
LOOPBACK = "[pytest]\nnexus_connector_network = loopback\n"


unguarded = pytest.mark.nexus_network("any")
"""For tests that run pytest inside pytest: the run outside must not stand before the socket module as well."""


def send(*arguments: object) -> None:
    """Send a datagram."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", *arguments)  # type: ignore[call-overload]  # with flags and without


def connect(*address: object, family: socket.AddressFamily = socket.AF_INET) -> None:
    """Connect a stream."""
    with socket.socket(family) as sock:
        sock.connect(address)


def connect_ex(*address: object) -> None:
    """Connect a stream, with a number instead of an exception."""
    with socket.socket() as sock:
        sock.connect_ex(address)


CALLS: dict[str, Callable[[], object]] = {
    "connect": lambda: connect(*ELSEWHERE),
    "connect_ex": lambda: connect_ex(*ELSEWHERE),
    "sendto": lambda: send(ELSEWHERE),
    "sendto_flags": lambda: send(0, ELSEWHERE),
    "ipv6": lambda: connect("2001:db8::1", 9, 0, 0, family=socket.AF_INET6),
    "getaddrinfo": lambda: socket.getaddrinfo("vendor.invalid", 443),
    "getaddrinfo_bytes": lambda: socket.getaddrinfo(b"vendor.invalid", 443),
    "getaddrinfo_named": lambda: socket.getaddrinfo(host="vendor.invalid", port=443),
    "gethostbyname": lambda: socket.gethostbyname("vendor.invalid"),
    "create_connection": lambda: socket.create_connection(("vendor.invalid", 443)),
    "lookalike": lambda: socket.getaddrinfo("127.0.0.1.vendor.invalid", 443),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_leaving_the_machine_is_refused(call: Callable[[], object]) -> None:
    """With ``loopback``, as in this repository, every way out raises an error that names the host."""
    with pytest.raises(NetworkBlockedError, match=r"203\.0\.113\.1|2001:db8::1|vendor\.invalid") as caught:
        call()
    assert caught.value.host in str(caught.value)
    assert not isinstance(caught.value, OSError)


def test_tls_sockets_are_refused_too() -> None:
    """A TLS socket connects through the same function."""
    with (
        ssl.create_default_context().wrap_socket(socket.socket(), server_hostname="vendor.invalid") as sock,
        pytest.raises(NetworkBlockedError, match=r"203\.0\.113\.1"),
    ):
        sock.connect(ELSEWHERE)


def test_event_loops_are_refused_too() -> None:
    """So do asyncio's connections, by name and by address."""

    async def connect(host: str) -> None:
        await asyncio.open_connection(host, 443)

    for host in ("vendor.invalid", ELSEWHERE[0]):
        with pytest.raises(NetworkBlockedError, match=host):
            asyncio.run(connect(host))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.9.9.9", ""])
def test_this_machine_is_reached(host: str) -> None:
    """Loopback stays open, by address and by name, for streams and datagrams."""
    with socket.socket() as server, socket.socket(type=socket.SOCK_DGRAM) as receiver:
        server.bind(("127.0.0.1" if host == "localhost" else host, 0))
        server.listen()
        receiver.bind(("127.0.0.1", 0))
        with socket.socket() as client, socket.socket(type=socket.SOCK_DGRAM) as sender:
            client.connect((host, server.getsockname()[1]))
            assert sender.sendto(b"x", receiver.getsockname()) == 1
        assert socket.getaddrinfo("localhost", 80, socket.AF_INET)
        assert socket.getaddrinfo(None, 80)


def test_sockets_of_files_are_left_alone() -> None:
    """Unix sockets have no host: the protection does not look at them."""
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(FileNotFoundError):
        sock.connect("/nonexistent/socket")


@unguarded
@pytest.mark.parametrize("ini", ["[pytest]\n", LOOPBACK], ids=["default", "loopback"])
def test_it_is_off_unless_asked_for(pytester: pytest.Pytester, ini: str) -> None:
    """Other people's suites are left alone: without the option nothing is put before the socket module."""
    pytester.makeini(ini)
    pytester.makepyfile(f"""
        import socket

        def test_it():
            assert (socket.socket.connect.__name__ == "guarded") is {ini == LOOPBACK}
            assert (socket.getaddrinfo.__name__ == "guarded") is {ini == LOOPBACK}
    """)
    pytester.runpytest("-q").assert_outcomes(passed=1)
    assert "connect" not in vars(socket.socket)
    assert socket.getaddrinfo.__name__ == "getaddrinfo"


@unguarded
def test_a_marker_lifts_it_for_one_test() -> None:
    """``nexus_network("any")`` opens the network for a test: the socket module is its own again."""
    assert socket.getaddrinfo.__module__ == "socket"
    assert "connect" not in vars(socket.socket)


@unguarded
def test_after_a_marked_test_it_is_back(pytester: pytest.Pytester) -> None:
    """The marker counts for its test alone, fixtures included, in both directions."""
    pytester.makeini(LOOPBACK)
    pytester.makepyfile("""
        import pytest, socket

        def is_guarded():
            return socket.socket.connect.__name__ == "guarded"

        @pytest.fixture
        def seen():
            return is_guarded()

        @pytest.mark.nexus_network("any")
        def test_open(seen):
            pass

        def test_closed(seen):
            assert seen and is_guarded()
    """)
    pytester.runpytest("-q").assert_outcomes(passed=2)
    pytester.makeini("[pytest]\n")
    pytester.makepyfile("""
        import pytest, socket

        @pytest.mark.nexus_network("loopback")
        def test_closed():
            assert socket.socket.connect.__name__ == "guarded"
    """)
    pytester.runpytest("-q").assert_outcomes(passed=1)


@unguarded
def test_the_command_line_wins(pytester: pytest.Pytester) -> None:
    """``--nexus-network`` overrules the configuration, for a run of live tests."""
    pytester.makeini(LOOPBACK)
    pytester.makepyfile("""
        import socket

        def test_it():
            assert "connect" not in vars(socket.socket)
    """)
    pytester.runpytest("-q", "--nexus-network=any").assert_outcomes(passed=1)


@unguarded
def test_it_protects_collection(pytester: pytest.Pytester) -> None:
    """A module that calls home when it is imported is refused as well."""
    pytester.makeini(LOOPBACK)
    pytester.makepyfile("import socket\nsocket.getaddrinfo('vendor.invalid', 443)")
    result = pytester.runpytest("-q")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*NetworkBlockedError: This test wanted to reach vendor.invalid,*"])


@pytest.mark.parametrize("where", ["ini", "marker"])
def test_a_misspelt_reach_is_an_error(pytester: pytest.Pytester, where: str) -> None:
    """What is neither ``any`` nor ``loopback`` ends the run: a typo must not leave the network open."""
    if where == "ini":
        pytester.makeini("[pytest]\nnexus_connector_network = localhost\n")
    mark = '@pytest.mark.nexus_network("local")' if where == "marker" else ""
    pytester.makepyfile(f"import pytest\n\n{mark}\ndef test_it():\n    pass\n")
    result = pytester.runpytest("-q")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*it can be 'any' or 'loopback'*"])


def test_the_marker_is_registered(pytester: pytest.Pytester) -> None:
    """Suites with ``--strict-markers`` know the marker."""
    pytester.runpytest("--markers").stdout.fnmatch_lines(["@pytest.mark.nexus_network(reach):*"])


def test_vendor_emulator(vendor_emulator: VendorEmulator) -> None:
    """The fixture is a vendor that is already listening."""
    vendor_emulator.on("/x", Answer(204))
    with socket.create_connection(("127.0.0.1", int(vendor_emulator.host.partition(":")[2]))) as sock:
        sock.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 204"


def test_its_vendor_is_not_imported_until_it_is_used(pytester: pytest.Pytester) -> None:
    """Loading the plugin imports neither the emulator nor the suites."""
    pytester.makepyfile("""
        import sys

        def test_it():
            assert "nexus_connector.testing.pytest_plugin" in sys.modules
            assert "nexus_connector.testing.emulator" not in sys.modules
            assert "nexus_connector.testing.suites" not in sys.modules
    """)
    pytester.runpytest_subprocess("-q").assert_outcomes(passed=1)
