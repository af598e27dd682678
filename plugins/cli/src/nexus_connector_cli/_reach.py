"""Reaching: whether a base URL can be connected to, with TLS where it says so, without sending a request."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from nexus_connector.errors import ConfigurationError
from nexus_connector.transport.tls import TlsContexts

TIMEOUT_SECONDS: Final = 2.0
Place: TypeAlias = tuple[str, str, str | None]
"""Name of a service, one of its base URLs, its certificate authority."""


def unreachable(places: Sequence[Place]) -> list[str | None]:
    """Connect to each place, all at once.

    Returns:
        For each, why it could not be connected to; ``None``: it could.
    """
    contexts = TlsContexts()
    with ThreadPoolExecutor(max_workers=max(1, min(32, len(places)))) as threads:
        return list(threads.map(partial(_problem, contexts), places))


def _problem(contexts: TlsContexts, place: Place) -> str | None:
    _, url, ca_file = place
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        with socket.create_connection((host, parts.port or _port(parts.scheme)), TIMEOUT_SECONDS) as connection:
            if parts.scheme == "https":
                connection.settimeout(TIMEOUT_SECONDS)
                contexts.get(ca_file).wrap_socket(connection, server_hostname=host).close()
    except ConfigurationError as error:
        return error.message.removesuffix(".")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return reason.strip().removesuffix(".") or type(error).__name__
    return None


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80
