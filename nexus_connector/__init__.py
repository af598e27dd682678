"""One audited, resilient, vendor-swappable gateway for every outside API that a Python application calls."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .adapter import LimitHeaders, ServiceAdapter, Vendor
    from .async_connector import AsyncConnector
    from .async_service import AsyncService
    from .body import Content
    from .call import Attempt, Call
    from .conditions import (
        AlertRaised,
        CircuitChanged,
        CredentialsRefreshed,
        CredentialsRefreshFailed,
        FailedOver,
        HealthChanged,
        PluginFailed,
        RecordsDropped,
        StoreDegraded,
        StoreRecovered,
    )
    from .config.model import option
    from .connector import Connector
    from .contracts.email import AddressCheck, Attachment, EmailMessage, EmailReceipt, EmailStatistics
    from .contracts.email_facade import AsyncEmailFacade, EmailFacade
    from .contracts.payments import Charge, ChargeRequest, PaymentIntent, Refund
    from .contracts.payments_facade import AsyncPaymentsFacade, PaymentsFacade
    from .credentials import AuthMethod, Credentials
    from .endpoint import Endpoint, HttpMethod
    from .events import (
        AttemptFinished,
        CacheHit,
        CallFailed,
        CallStarted,
        CallSucceeded,
        Event,
        IdempotentReplay,
        OutcomeUnknown,
        RateLimited,
        RetryScheduled,
    )
    from .gates import Again, Gate, Refusal, Wait
    from .headers import Headers
    from .hooks import hookimpl
    from .io import Io
    from .message import CallInfo, Into, Request, Response, build_request
    from .money import Money
    from .operation import Bulk, BulkResult, CallOptions, Flow, ItemOutcome, Operation, Page
    from .outcomes import AsyncOutcomes, Outcomes, PendingOutcome
    from .pipeline import ChainEntry, Next, Result, Stage
    from .plugins import Plugin
    from .policy import RetryPolicy
    from .records import IntegrationLog, IntegrationStatus
    from .secret import Secret
    from .service import Service
    from .setup import ServiceSetup
    from .state import AtomicOp, Store
    from .stream import AsyncStream, Stream
    from .verdict import Classification, Outcome, Safety, Verdict

__all__ = [
    "AddressCheck",
    "Again",
    "AlertRaised",
    "AsyncConnector",
    "AsyncEmailFacade",
    "AsyncOutcomes",
    "AsyncPaymentsFacade",
    "AsyncService",
    "AsyncStream",
    "AtomicOp",
    "Attachment",
    "Attempt",
    "AttemptFinished",
    "AuthMethod",
    "Bulk",
    "BulkResult",
    "CacheHit",
    "Call",
    "CallFailed",
    "CallInfo",
    "CallOptions",
    "CallStarted",
    "CallSucceeded",
    "ChainEntry",
    "Charge",
    "ChargeRequest",
    "CircuitChanged",
    "Classification",
    "Connector",
    "Content",
    "Credentials",
    "CredentialsRefreshFailed",
    "CredentialsRefreshed",
    "EmailFacade",
    "EmailMessage",
    "EmailReceipt",
    "EmailStatistics",
    "Endpoint",
    "Event",
    "FailedOver",
    "Flow",
    "Gate",
    "Headers",
    "HealthChanged",
    "HttpMethod",
    "IdempotentReplay",
    "IntegrationLog",
    "IntegrationStatus",
    "Into",
    "Io",
    "ItemOutcome",
    "LimitHeaders",
    "Money",
    "Next",
    "Operation",
    "Outcome",
    "OutcomeUnknown",
    "Outcomes",
    "Page",
    "PaymentIntent",
    "PaymentsFacade",
    "PendingOutcome",
    "Plugin",
    "PluginFailed",
    "RateLimited",
    "RecordsDropped",
    "Refund",
    "Refusal",
    "Request",
    "Response",
    "Result",
    "RetryPolicy",
    "RetryScheduled",
    "Safety",
    "Secret",
    "Service",
    "ServiceAdapter",
    "ServiceSetup",
    "Stage",
    "Store",
    "StoreDegraded",
    "StoreRecovered",
    "Stream",
    "Vendor",
    "Verdict",
    "Wait",
    "build_request",
    "hookimpl",
    "option",
]

_NAMES_BY_MODULE = {
    "adapter": ("LimitHeaders", "ServiceAdapter", "Vendor"),
    "async_connector": ("AsyncConnector",),
    "async_service": ("AsyncService",),
    "body": ("Content",),
    "call": ("Attempt", "Call"),
    "conditions": (
        "AlertRaised",
        "CircuitChanged",
        "CredentialsRefreshed",
        "CredentialsRefreshFailed",
        "FailedOver",
        "HealthChanged",
        "PluginFailed",
        "RecordsDropped",
        "StoreDegraded",
        "StoreRecovered",
    ),
    "config.model": ("option",),
    "connector": ("Connector",),
    "contracts.email": ("AddressCheck", "Attachment", "EmailMessage", "EmailReceipt", "EmailStatistics"),
    "contracts.email_facade": ("AsyncEmailFacade", "EmailFacade"),
    "contracts.payments": ("Charge", "ChargeRequest", "PaymentIntent", "Refund"),
    "contracts.payments_facade": ("AsyncPaymentsFacade", "PaymentsFacade"),
    "credentials": ("AuthMethod", "Credentials"),
    "endpoint": ("Endpoint", "HttpMethod"),
    "events": (
        "AttemptFinished",
        "CacheHit",
        "CallFailed",
        "CallStarted",
        "CallSucceeded",
        "Event",
        "IdempotentReplay",
        "OutcomeUnknown",
        "RateLimited",
        "RetryScheduled",
    ),
    "gates": ("Again", "Gate", "Refusal", "Wait"),
    "headers": ("Headers",),
    "hooks": ("hookimpl",),
    "io": ("Io",),
    "message": ("CallInfo", "Into", "Request", "Response", "build_request"),
    "money": ("Money",),
    "operation": ("Bulk", "BulkResult", "CallOptions", "Flow", "ItemOutcome", "Operation", "Page"),
    "outcomes": ("AsyncOutcomes", "Outcomes", "PendingOutcome"),
    "pipeline": ("ChainEntry", "Next", "Result", "Stage"),
    "plugins": ("Plugin",),
    "policy": ("RetryPolicy",),
    "records": ("IntegrationLog", "IntegrationStatus"),
    "secret": ("Secret",),
    "service": ("Service",),
    "setup": ("ServiceSetup",),
    "state": ("AtomicOp", "Store"),
    "stream": ("AsyncStream", "Stream"),
    "verdict": ("Classification", "Outcome", "Safety", "Verdict"),
}
_MODULES = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}

if not TYPE_CHECKING:  # a checker would take every name for one of this package

    def __getattr__(name: str) -> object:
        """Import what a name stands for when it is asked for: a program pays at its start for what it uses."""
        if name in _MODULES:
            found = globals()[name] = getattr(import_module(f".{_MODULES[name]}", __name__), name)
            return found
        from importlib.util import find_spec

        if find_spec(f"{__name__}.{name}") is not None:
            return import_module(f".{name}", __name__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
