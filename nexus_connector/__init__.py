"""One audited, resilient, vendor-swappable gateway for every outside API that a Python application calls."""

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
