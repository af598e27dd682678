"""The error tree: one root, keyword fields, a text that ends with what to do next, a pickle that gives nothing away."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from nexus_connector import CallInfo, Headers, Outcome, Response, errors
from nexus_connector.errors import (
    AuthenticationError,
    CircuitOpenError,
    ConfigurationError,
    ConnectorClosedError,
    ConnectorError,
    CredentialNotFoundError,
    CredentialRefreshError,
    DeadlineExceededError,
    IdempotencyConflictError,
    IdempotencyInFlightError,
    IdempotencyUnavailableError,
    InvalidRequestError,
    LocalRateLimitError,
    NotFoundError,
    NotSentError,
    NotSupportedError,
    OutcomeUnknownError,
    PaymentDeclinedError,
    PluginError,
    QueueUnavailableError,
    RateLimitExceededError,
    ResponseFormatError,
    TenantRequiredError,
    TransportError,
    VendorError,
    VendorRateLimitError,
    WebhookVerificationError,
    plain_kind,
    with_unknown_outcome,
    without_frames,
)
from nexus_connector.redaction import Redactor

PUBLIC: list[type[ConnectorError]] = [getattr(errors, name) for name in errors.__all__]
PLAIN: list[type[ConnectorError]] = [*PUBLIC, VendorRateLimitError, LocalRateLimitError]
GENERATED = [with_unknown_outcome(kind) for kind in PLAIN if kind not in {ConnectorError, OutcomeUnknownError}]

SECRET = "q9Zt-canary-7Lw2-of-no-known-form"
ANSWER = Response(
    status=402,
    headers=Headers({"Content-Type": "application/json", "Set-Cookie": "session=c00kie-canary", "X-Kept": "yes"}),
    body=b'{"password": "hunter2-canary", "id": "ch_1", "echo": "' + SECRET.encode() + b'"}',
    call=CallInfo(id="01J", service="stripe", operation="payments.charge", attempts=2),
)


def name_of(kind: type[ConnectorError]) -> str:
    """Name a class, generated ones apart from those they were made of."""
    return kind.__name__ + ("+OutcomeUnknownError" if kind in GENERATED else "")


every_kind = pytest.mark.parametrize("kind", [*PLAIN, *GENERATED], ids=name_of)


def fields_of(kind: type[ConnectorError]) -> dict[str, Any]:
    """Return a value for every field of a class."""
    fields: dict[str, Any] = {
        "service": "stripe",
        "operation": "payments.charge",
        "call_id": "01ARYZ6S41TSV4RRFFQ69G5FAV",
        "tenant_id": "acme",
        "attempts": 3,
        "outcome": Outcome.REFUSED,
        "retry_safe": True,
        "retry_after": 1.5,
        "response": ANSWER,
        "hint": "Try another card.",
    }
    if issubclass(kind, TransportError):
        fields["phase"] = "write"
    if issubclass(kind, VendorError):
        fields |= {"status": 402, "code": "card_declined", "request_id": "req_1"}
    if issubclass(kind, ResponseFormatError):
        fields["path"] = "items[3].price"
    return fields


@every_kind
def test_fields(kind: type[ConnectorError]) -> None:
    """Every class takes all its fields by keyword and keeps them; its text ends with what to do next."""
    fields = fields_of(kind)
    error = kind("The card was declined.", **fields)
    assert {name: getattr(error, name) for name in fields} == fields
    assert isinstance(error, ConnectorError)
    assert str(error) == "The card was declined. Try another card."
    assert error.args == ("The card was declined.",)
    assert str(kind("The card was declined.")) == "The card was declined."


@every_kind
def test_keyword_only(kind: type[ConnectorError]) -> None:
    """Beside the message nothing is given by position, and no unknown field is taken silently."""
    with pytest.raises(TypeError):
        kind("message", "stripe")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        kind("message", severity=3)  # type: ignore[call-arg]


@every_kind
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(kind: type[ConnectorError], protocol: int) -> None:
    """An error survives a process pool or a queue: the same class, text and fields, its response redacted."""
    fields = fields_of(kind)
    again: Any = pickle.loads(pickle.dumps(kind("The card was declined.", **fields), protocol))
    assert type(again) is kind
    assert str(again) == "The card was declined. Try another card."
    assert {name: getattr(again, name) for name in fields if name != "response"} == {
        name: value for name, value in fields.items() if name != "response"
    }
    assert again.response is not None
    assert (again.response.status, again.response.call) == (402, ANSWER.call)
    assert again.response.headers["X-Kept"] == "yes"
    assert again.response.json()["id"] == "ch_1"


@every_kind
def test_pickle_is_redacted(kind: type[ConnectorError]) -> None:
    """Neither what looks like a secret nor what the call knows to be one leaves the process in a pickle, ever."""
    error = kind(f"It said {SECRET}.", **{**fields_of(kind), "hint": f"Not {SECRET}."})
    error.seal(Redactor(sensitive_keys=frozenset(), secrets=(SECRET,)))
    assert SECRET not in str(error)
    assert SECRET not in repr(error)
    once = pickle.dumps(error)
    for data in (once, pickle.dumps(pickle.loads(once))):
        for canary in (SECRET, "hunter2-canary", "c00kie-canary"):
            assert canary.encode() not in data


@every_kind
def test_a_copy_is_the_same_error(kind: type[ConnectorError]) -> None:
    """copy.copy and deepcopy, which libraries use on errors, keep class and fields."""
    error = kind("The card was declined.", **fields_of(kind))
    for again in (copy.copy(error), copy.deepcopy(error)):
        assert (type(again), str(again), again.retry_after) == (kind, str(error), 1.5)


PARENTS: dict[type[ConnectorError], tuple[type[BaseException], ...]] = {
    ConfigurationError: (),
    PluginError: (),
    InvalidRequestError: (ValueError,),
    ConnectorClosedError: (),
    NotSentError: (),
    CircuitOpenError: (NotSentError,),
    CredentialNotFoundError: (NotSentError,),
    CredentialRefreshError: (NotSentError,),
    TenantRequiredError: (NotSentError,),
    NotSupportedError: (NotSentError,),
    IdempotencyConflictError: (NotSentError,),
    IdempotencyUnavailableError: (NotSentError,),
    QueueUnavailableError: (NotSentError,),
    RateLimitExceededError: (),
    VendorRateLimitError: (RateLimitExceededError, VendorError),
    LocalRateLimitError: (RateLimitExceededError, NotSentError),
    IdempotencyInFlightError: (),
    TransportError: (),
    DeadlineExceededError: (TransportError, TimeoutError),
    VendorError: (),
    AuthenticationError: (VendorError,),
    NotFoundError: (VendorError,),
    PaymentDeclinedError: (VendorError,),
    ResponseFormatError: (),
    WebhookVerificationError: (),
    OutcomeUnknownError: (),
    ConnectorError: (),
}


@pytest.mark.parametrize("kind", PLAIN, ids=name_of)
def test_the_tree(kind: type[ConnectorError]) -> None:
    """Each class stands exactly where the design puts it: what a caller catches catches no more and no less."""
    others = {*PLAIN, ValueError, TimeoutError, OSError} - {kind}
    above = {other for other in others if issubclass(kind, other)}
    expected = {ConnectorError, *PARENTS[kind]} - {kind}
    if TimeoutError in expected:
        expected.add(OSError)
    assert above == expected


def test_all_names_every_public_class() -> None:
    """`errors.__all__` is sorted and lists every class of the tree but the two kinds of one rate limit."""
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, ConnectorError)}
    assert sorted(errors.__all__) == list(errors.__all__)
    assert kinds - set(errors.__all__) == {"VendorRateLimitError", "LocalRateLimitError"}


OUTCOMES: dict[type[ConnectorError], Outcome] = {
    ResponseFormatError: Outcome.DONE,
    IdempotencyInFlightError: Outcome.UNKNOWN,
}


@every_kind
def test_the_default_outcome(kind: type[ConnectorError]) -> None:
    """An error that says nothing about the effect was not sent; where its class says more, that counts.
    Only what was not sent is safe to make again by default.
    """
    error = kind("message")
    default = Outcome.UNKNOWN if issubclass(kind, OutcomeUnknownError) else Outcome.NOT_SENT
    expected = OUTCOMES.get(plain_kind(kind), default)
    assert (error.outcome, error.retry_safe) == (expected, expected is Outcome.NOT_SENT)
    assert kind("message", outcome=Outcome.REFUSED, retry_safe=False).outcome is Outcome.REFUSED


@pytest.mark.parametrize("kind", PLAIN, ids=name_of)
def test_with_unknown_outcome(kind: type[ConnectorError]) -> None:
    """The class of an unknown outcome is its own kind and OutcomeUnknownError, is made once, and keeps its name."""
    both = with_unknown_outcome(kind)
    assert issubclass(both, kind)
    assert issubclass(both, OutcomeUnknownError)
    assert both is with_unknown_outcome(kind) is with_unknown_outcome(both)
    if kind not in {ConnectorError, OutcomeUnknownError}:
        assert (both.__name__, both.__module__, both.__doc__) == (kind.__name__, kind.__module__, kind.__doc__)
        assert plain_kind(both) is kind


def test_the_root_needs_no_other_class() -> None:
    """A plain ConnectorError of unknown outcome is an OutcomeUnknownError: the one is the other's parent already."""
    assert with_unknown_outcome(ConnectorError) is OutcomeUnknownError
    assert plain_kind(OutcomeUnknownError) is ConnectorError


class OwnUnknownError(VendorError, OutcomeUnknownError):
    """An adapter's own class with the same bases as a generated one."""


def test_an_own_class_with_the_same_bases_is_kept() -> None:
    """Only generated classes are taken apart for a pickle: an adapter's own one is not confused with them."""
    assert plain_kind(OwnUnknownError) is OwnUnknownError
    assert with_unknown_outcome(OwnUnknownError) is OwnUnknownError


def test_sealing_keeps_what_is_harmless() -> None:
    """Sealing changes the texts only as far as they hold a secret."""
    error = VendorError("stripe answered 402 (card_declined).", hint="Try another card.", code="card_declined")
    error.seal(Redactor(sensitive_keys=frozenset(), secrets=(SECRET,)))
    assert (str(error), error.code) == ("stripe answered 402 (card_declined). Try another card.", "card_declined")


def test_notes_stay_behind() -> None:
    """A note somebody added may hold anything: it does not leave with a pickle."""
    error = VendorError("message")
    error.add_note(SECRET)
    assert SECRET.encode() not in pickle.dumps(error)


def test_frames() -> None:
    """The pipeline's frames are dropped; those of a plugin that failed stay, because its author needs them."""

    def raised(kind: type[ConnectorError]) -> ConnectorError:
        with pytest.raises(kind) as caught:
            raise kind("message")
        return caught.value

    assert without_frames(raised(VendorError)).__traceback__ is None
    assert without_frames(raised(PluginError)).__traceback__ is not None
