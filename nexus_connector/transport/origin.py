"""Origins: scheme, host and port of a base URL, checked before anything is sent."""

from __future__ import annotations

import ipaddress
import re
from typing import NoReturn
from urllib.parse import urlsplit

import attrs

from ..errors import InvalidRequestError

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[0-9a-z._:-]+")


@attrs.frozen
class Origin:
    """Where connections lead.

    Attributes:
        scheme: ``http`` or ``https``.
        host: Lower case, international names in their ASCII form, IPv6 without brackets.
        port: Never the default of another scheme left out.

    >>> origin, path = split_base("https://API.example/v2/")
    >>> str(origin), path
    ('https://api.example', '/v2')
    """

    scheme: str
    host: str
    port: int

    @property
    def is_safe(self) -> bool:
        """Whether nobody on the way can read along: TLS, or this machine only."""
        return self.scheme == "https" or is_loopback(self.host)

    @property
    def authority(self) -> str:
        """Host and port, as the Host field has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine itself.

    >>> is_loopback("127.0.0.8"), is_loopback("localhost"), is_loopback("localhost.example")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def split_base(url: str) -> tuple[Origin, str]:
    """Split a base URL into its origin and its path, which does not end with a slash.

    Raises:
        InvalidRequestError: If it is no such URL, or is plain HTTP to another machine.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").encode("idna").decode("ascii")
        port = parts.port
    except ValueError:
        _refuse("The base URL is malformed", "Write it as https://host/path")
    if parts.scheme not in _PORTS or not _HOST.fullmatch(host):
        _refuse("The base URL names no host over https", "Write it as https://host/path")
    if parts.username is not None or parts.query or parts.fragment:
        _refuse("The base URL holds more than scheme, host, port and path", "Give the rest in its own place")
    origin = Origin(parts.scheme, host, _PORTS[parts.scheme] if port is None else port)
    if not origin.is_safe:
        _refuse(f"Plain http:// to {host} would be readable on the way", "Use https://; http:// is for loopback")
    return origin, parts.path.rstrip("/")


def _refuse(problem: str, remedy: str) -> NoReturn:
    message = f"{problem}."
    raise InvalidRequestError(message, hint=f"{remedy}; nothing was sent.") from None
