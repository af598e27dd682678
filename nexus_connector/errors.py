"""The error tree: one root, grouped by what the caller should do next.

Every error names service, operation and call, says what is known about the effect (`outcome`), whether the same call
may be made again (`retry_safe`) and how long to wait (`retry_after`, seconds). Its text is redacted and ends with what
to do next. Errors survive pickling; a response inside them is redacted on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .verdict import Outcome, Phase

if TYPE_CHECKING:
    from .message import Response
    from .redaction import Redactor

__all__ = [
    "AuthenticationError",
    "CircuitOpenError",
    "ConfigurationError",
    "ConnectorClosedError",
    "ConnectorError",
    "CredentialNotFoundError",
    "CredentialRefreshError",
    "DeadlineExceededError",
    "IdempotencyConflictError",
    "IdempotencyInFlightError",
    "IdempotencyUnavailableError",
    "InvalidRequestError",
    "NotFoundError",
    "NotSentError",
    "NotSupportedError",
    "OutcomeUnknownError",
    "PaymentDeclinedError",
    "PluginError",
    "QueueUnavailableError",
    "RateLimitExceededError",
    "ResponseFormatError",
    "TenantRequiredError",
    "TransportError",
    "VendorError",
    "WebhookVerificationError",
]


class ConnectorError(Exception):
    """Root of every error that leaves the connector.

    Args:
        message: What happened, in one sentence, without any secret.
        service: Name of the service in the configuration.
        operation: Name of the operation (``email.send_transactional_email``, ``GET /orders/{id}``).
        call_id: Id of the call (ULID); ``nexus explain CALL_ID`` shows its time line.
        tenant_id: Tenant of the call.
        attempts: Sends on the wire that the call made.
        outcome: What is known about the effect at the vendor.
        retry_safe: Whether the same call may be made again without doing something twice.
        retry_after: Seconds to wait before that; ``None``: nothing is known.
        response: The vendor's answer, if there was one.
        hint: What to do next; ends the text.

    >>> error = ConnectorError("stripe did not answer.", service="stripe", hint="Try again in a minute.")
    >>> str(error)
    'stripe did not answer. Try again in a minute.'
    >>> error.retry_safe
    True
    """

    def __init__(
        self,
        message: str,
        *,
        service: str | None = None,
        operation: str | None = None,
        call_id: str | None = None,
        tenant_id: str | None = None,
        attempts: int = 0,
        outcome: Outcome = Outcome.NOT_SENT,
        retry_safe: bool | None = None,
        retry_after: float | None = None,
        response: Response | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.service = service
        self.operation = operation
        self.call_id = call_id
        self.tenant_id = tenant_id
        self.attempts = attempts
        self.outcome = outcome
        self.retry_safe = outcome is Outcome.NOT_SENT if retry_safe is None else retry_safe
        self.retry_after = retry_after
        self.response = response
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {name: value for name, value in self.__dict__.items() if name not in {"_redactor", "__notes__"}}
        response = fields.get("response")
        if response is not None:
            fields["response"] = response.redacted(self.__dict__.get("_redactor"))
        kind = type(self)
        return _rebuild, (plain_kind(kind), isinstance(self, OutcomeUnknownError), self.message, fields)

    def seal(self, redactor: Redactor) -> None:
        """Redact the texts with everything this call knows to be secret. The core calls it before an error leaves."""
        self.message = redactor.text(self.message)
        self.args = (self.message,)
        self.hint = None if self.hint is None else redactor.text(self.hint)
        self.__dict__["_redactor"] = redactor


class ConfigurationError(ConnectorError):
    """The configuration cannot be used; the text names the path, the nearest right name and the remedy."""


class PluginError(ConnectorError):
    """A plugin or hook broke its contract or raised; its own exception is the cause."""


class InvalidRequestError(ConnectorError, ValueError):
    """The request cannot be sent as given; nothing was sent."""


class ConnectorClosedError(ConnectorError):
    """The connector was closed before or during the call."""


class NotSentError(ConnectorError):
    """Nothing was sent; the call may be made again once the reason is gone."""


class CircuitOpenError(NotSentError):
    """The circuit of the service is open; `retry_after` says when the next probe may pass."""


class CredentialNotFoundError(NotSentError):
    """No credentials could be found for the service."""


class CredentialRefreshError(NotSentError):
    """Credentials have expired and could not be refreshed."""


class TenantRequiredError(NotSentError):
    """The service needs a tenant and the call names none."""


class NotSupportedError(NotSentError):
    """The vendor cannot do what was asked for."""


class IdempotencyConflictError(NotSentError):
    """The idempotency key was used with other arguments before."""


class IdempotencyUnavailableError(NotSentError):
    """The durable store that keeps idempotency claims cannot be reached."""


class QueueUnavailableError(NotSentError):
    """The queue does not take the call."""


class IdempotencyInFlightError(ConnectorError):
    """Another call with the same key is still under way; its outcome is unknown here."""

    def __init__(self, message: str, **fields: Any) -> None:
        fields.setdefault("outcome", Outcome.UNKNOWN)
        super().__init__(message, **fields)


class TransportError(ConnectorError):
    """The connection failed.

    Args:
        message: As for every error.
        phase: Where: ``dns``, ``connect``, ``tls``, ``write`` or ``read``.
        fields: As for every error.
    """

    def __init__(self, message: str, *, phase: Phase = "read", **fields: Any) -> None:
        super().__init__(message, **fields)
        self.phase = phase


class DeadlineExceededError(TransportError, TimeoutError):
    """The time of the call or of its last attempt ran out."""


class VendorError(ConnectorError):
    """The vendor answered with an error.

    Args:
        message: As for every error.
        status: HTTP status of the answer.
        code: The vendor's own error code.
        request_id: The vendor's own id of the request; their support asks for it.
        fields: As for every error.
    """

    def __init__(
        self, message: str, *, status: int = 0, code: str | None = None, request_id: str | None = None, **fields: Any
    ) -> None:
        super().__init__(message, **fields)
        self.status = status
        self.code = code
        self.request_id = request_id


class AuthenticationError(VendorError):
    """The vendor does not accept the credentials (401), or not for this (403)."""


class NotFoundError(VendorError):
    """The vendor does not know the thing (404, 410)."""


class PaymentDeclinedError(VendorError):
    """The payment was declined; `code` says why in the vendor's words."""


class RateLimitExceededError(ConnectorError):
    """A limit is reached: the vendor's (then also a VendorError) or ours (then also a NotSentError)."""


class VendorRateLimitError(RateLimitExceededError, VendorError):
    """The vendor's limit is reached (429); `retry_after` is what the vendor asked for."""


class LocalRateLimitError(RateLimitExceededError, NotSentError):
    """Our own limit is reached; nothing was sent."""


class ResponseFormatError(ConnectorError):
    """The vendor did it, but the answer does not have the expected form.

    Args:
        message: As for every error.
        path: Where in the answer, as ``items[3].price``.
        fields: As for every error.
    """

    def __init__(self, message: str, *, path: str = "", **fields: Any) -> None:
        fields.setdefault("outcome", Outcome.DONE)
        super().__init__(message, **fields)
        self.path = path


class WebhookVerificationError(ConnectorError):
    """A webhook's signature is missing, wrong or too old; it must not be processed."""


class OutcomeUnknownError(ConnectorError):
    """It may have happened. Beside its own kind, every error of unknown outcome that is not SAFE is one of these."""

    def __init__(self, message: str, **fields: Any) -> None:
        fields.setdefault("outcome", Outcome.UNKNOWN)
        super().__init__(message, **fields)


_unknown_kinds: dict[type[ConnectorError], type[ConnectorError]] = {ConnectorError: OutcomeUnknownError}


def _unknown_kind(kind: type[ConnectorError]) -> type[ConnectorError]:
    bases: Any = (kind, OutcomeUnknownError)
    made: type[ConnectorError] = type(kind.__name__, bases, {"__module__": kind.__module__, "__doc__": kind.__doc__})
    return _unknown_kinds.setdefault(kind, made)


def with_unknown_outcome(kind: type[ConnectorError]) -> type[ConnectorError]:
    """Return the class that is both `kind` and `OutcomeUnknownError`.

    >>> issubclass(with_unknown_outcome(TransportError), (TransportError, OutcomeUnknownError))
    True
    """
    return kind if issubclass(kind, OutcomeUnknownError) else _unknown_kinds.get(kind) or _unknown_kind(kind)


def plain_kind(kind: type[ConnectorError]) -> type[ConnectorError]:
    """Undo `with_unknown_outcome`: the generated class cannot be found by name when unpickling."""
    first: Any = kind.__bases__[0]
    return first if _unknown_kinds.get(first) is kind else kind


def _rebuild(kind: type[ConnectorError], unknown: bool, message: str, fields: dict[str, Any]) -> ConnectorError:
    error = (with_unknown_outcome(kind) if unknown else kind)(message)
    error.__dict__.update(fields)
    return error


def without_frames(error: ConnectorError) -> ConnectorError:
    """Drop the pipeline's own frames from an error's traceback; those of a plugin that failed stay."""
    return error if isinstance(error, PluginError) else error.with_traceback(None)
