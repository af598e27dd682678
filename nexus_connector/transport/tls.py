"""TLS contexts: one per certificate authority, always verifying."""

from __future__ import annotations

import ssl
import threading

from ..errors import ConfigurationError


class TlsContexts:
    """Makes and keeps the contexts; loading the system's authorities takes milliseconds, so services share them."""

    __slots__ = ("_contexts", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._contexts: dict[str | None, ssl.SSLContext] = {}

    def get(self, ca_file: str | None) -> ssl.SSLContext:
        """Return the context that trusts this file's authorities; ``None``: the system's.

        Raises:
            ConfigurationError: If the file cannot be used.
        """
        with self._lock:
            context = self._contexts.get(ca_file)
            if context is None:
                context = self._contexts[ca_file] = _make(ca_file)
            return context


def _make(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(ca_file)
    except OSError as error:
        message = f"ca_file {ca_file!r} cannot be used: {error.strerror or error}."
        raise ConfigurationError(message, hint="Give the path of the authority's certificate as PEM.") from error
    return context
