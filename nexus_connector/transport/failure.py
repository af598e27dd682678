"""Failures: what an exception on the wire is called in the transport's own words, without anything secret."""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING

from ..errors import InvalidRequestError
from . import SendError
from .answer import MalformedAnswerError

if TYPE_CHECKING:
    from ..verdict import Phase

_BY_DEADLINE: dict[Phase, str] = {
    "dns": "The name {host} was looked up until after the deadline.",
    "connect": "{host} did not accept a connection by the deadline.",
    "tls": "{host} did not finish the TLS handshake by the deadline.",
    "write": "{host} did not take the request by the deadline.",
    "read": "{host} did not finish its answer by the deadline.",
}
_BROKEN: dict[Phase, str] = {
    "dns": "The name {host} was not found",
    "connect": "{host} could not be reached",
    "tls": "{host} did not agree on TLS",
    "write": "The connection to {host} broke while the request was written",
    "read": "The connection to {host} broke before its answer was whole",
}


def explain(error: Exception, *, host: str, phase: Phase, wrote: bool, is_over: bool) -> Exception:
    """Return the failure to raise for what happened, with its cause unless that repeats the request.

    Args:
        error: What happened.
        host: The host as a reader knows it.
        phase: Where it happened.
        wrote: Whether the first byte of the request was written.
        is_over: Whether an abort or a close from this side is the reason.
    """
    failure: Exception
    if is_over:
        failure = ended_here(host, phase, wrote=wrote)
    elif isinstance(error, OSError):
        failure = _of_system(error, host, phase, wrote=wrote)
    elif wrote and isinstance(error, http.client.HTTPException | ValueError):
        failure = SendError(_of_answer(error, host), phase=phase, wrote=True)
    elif isinstance(error, http.client.HTTPException | ValueError):
        # Their texts repeat what they refuse, which may be a secret: no cause.
        message = "The request cannot be written as HTTP: its path or a header holds a sign that has no place there."
        return InvalidRequestError(message, hint="Check what hooks and adapters put into it; nothing was sent.")
    else:
        return error
    failure.__cause__ = error
    return failure


def ended_here(host: str, phase: Phase, *, wrote: bool) -> SendError:
    """Return the failure of a send that this side gave up."""
    message = f"The send to {host} was ended from this side."
    return SendError(message, phase=phase, wrote=wrote, own=True)


def _of_system(error: OSError, host: str, phase: Phase, *, wrote: bool) -> SendError:
    if isinstance(error, TimeoutError) and error.errno is None:  # with a number it is the system's own, earlier limit
        return SendError(_BY_DEADLINE[phase].format(host=host), phase=phase, wrote=wrote, timed_out=True)
    if isinstance(error, ssl.SSLCertVerificationError):
        message = f"The certificate of {host} does not verify: {error.verify_message}."
        return SendError(message, phase=phase, wrote=wrote, transient=False)
    if isinstance(error, http.client.RemoteDisconnected):
        return SendError(f"{host} closed the connection without an answer.", phase=phase, wrote=wrote)
    reason = error.reason if isinstance(error, ssl.SSLError) and error.reason else error.strerror
    return SendError(f"{_BROKEN[phase].format(host=host)}: {reason or type(error).__name__}.", phase=phase, wrote=wrote)


def _of_answer(error: Exception, host: str) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return f"The answer of {host} broke off before its end."
    if isinstance(error, MalformedAnswerError):
        return f"The answer of {host} is malformed: {error}."
    return f"The answer of {host} is not HTTP: {type(error).__name__}."
