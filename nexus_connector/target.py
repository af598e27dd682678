"""Targets: a service as compiled, everything that its calls need and nothing looked up twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import attrs

from .call_record import attempt_record, call_record

if TYPE_CHECKING:
    from .adapter import ServiceAdapter
    from .background import Outbox
    from .call import Call
    from .config import ServiceConfig
    from .credentials import Credentials
    from .hooks import Hook
    from .message import Request
    from .outcomes import Claims
    from .pipeline import ChainEntry, Next, Result
    from .process import Wire
    from .redaction import Redactor
    from .signals import Signals


@attrs.define(kw_only=True)
class Target:
    """One service, compiled.

    Attributes:
        name: Its name.
        config: Its options, the adapter's defaults merged in.
        adapter: Its vendor adapter; ``None`` for any HTTP API.
        credentials: Its static credentials; ``None``: it has none.
        redactor: Knows its static secrets.
        headers: Header fields of every request.
        signals: The runtime's receivers.
        request_id_header: Header in which the vendor sends its own id of a request.
        replays_errors: Whether the vendor replays stored errors under a key.
        claims: The stage that keeps idempotency claims; ``None``: none does.
        max_inline_wait_seconds: Longest wait that a vendor or limit may impose inside a call.
        records: Whether anybody keeps records.
        finds_tenants: Whether a call needs its tenant found, or refused for having none.
        tenants: resolve_tenant hooks.
        transforms: transform_response hooks.
        chain: Slots 200 to 1000 of a request.
        run_chain: The same for ``run()``.
        entries: What ``explain`` shows.
        plugins: Names of the plugins that have a stage or gate here.
        outbox: Returns where records and events go.
        wire: Returns the way out.
    """

    name: str
    config: ServiceConfig
    adapter: ServiceAdapter | None
    credentials: Credentials | None
    redactor: Redactor
    headers: dict[str, str]
    signals: Signals
    request_id_header: str
    replays_errors: bool
    claims: Claims | None
    max_inline_wait_seconds: float
    records: bool
    finds_tenants: bool
    tenants: Sequence[Hook]
    transforms: Sequence[Hook]
    outbox: Callable[[], Outbox]
    wire: Callable[[], Wire]
    chain: Next = attrs.field(init=False)
    run_chain: Next = attrs.field(init=False)
    entries: tuple[ChainEntry, ...] = attrs.field(init=False)
    plugins: frozenset[str] = attrs.field(init=False)

    def record_attempt(self, call: Call, request: Request, result: Result, started: float, ended: float) -> None:
        """Leave the record of one send; it is built and redacted off the caller's path. Only asked for if `records`."""
        self.outbox().record(
            partial(attempt_record, call, call.attempts, call.region, request, result, call.redactor, started, ended)
        )

    def record_call(
        self, call: Call, request: Request, result: Result | None, error: BaseException | None, ended: float
    ) -> None:
        """Leave the record of a whole call. Only asked for if `records`."""
        self.outbox().record(partial(call_record, call, request, result, error, ended))
