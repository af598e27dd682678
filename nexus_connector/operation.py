"""Operations: what an adapter method returns. Pure data; the pipeline sends it, retries it, records it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import attrs

from .message import Request, Response
from .policy import RetryPolicy
from .verdict import DEFAULT_CLASSIFICATION, SAFETY_BY_METHOD, Classification, Outcome, Safety

T = TypeVar("T")
R = TypeVar("R")


def _safety_of_method(operation: Operation[Any]) -> Safety:
    return SAFETY_BY_METHOD.get(operation.request.method, "unsafe")


@attrs.frozen(kw_only=True)
class Operation(Generic[T]):
    """One logical thing to do at a vendor.

    Attributes:
        name: Low-cardinality name, as ``email.send_transactional_email`` or ``GET /orders/{id}``.
        request: What to send.
        parse: Turns the answer into the result; runs outside the retries.
        safety: Whether sending it twice can do it twice; by default what its HTTP method means.
        cost: Tokens it takes from a limiter.
        classification: How its answers are read where they differ from HTTP's own meaning.
        allow_status: Statuses of 400 and above that are results, not errors.
        timeout_seconds: Time of the whole call; ``None``: the service's.
        retry: How it is tried again; ``None``: as configured.
        value: The domain value it was made from, for tests and fingerprints.
        send: A call of a vendor's SDK that is made instead of sending `request`.
        stream: Whether the body is handed over unread.
        idle_timeout_seconds: Longest wait for the next piece of a stream.

    >>> Operation(name="GET /x", request=Request(path="/x"), parse=Response.json).safety
    'safe'
    """

    name: str
    request: Request
    parse: Callable[[Response], T]
    safety: Safety = attrs.field(default=attrs.Factory(_safety_of_method, takes_self=True))
    cost: float = 1.0
    classification: Classification = DEFAULT_CLASSIFICATION
    allow_status: Collection[int] = ()
    timeout_seconds: float | None = None
    retry: RetryPolicy | None = None
    value: object = None
    send: Callable[[], T] | None = None
    stream: bool = False
    idle_timeout_seconds: float = 30.0


@attrs.frozen(kw_only=True)
class Flow(Generic[T]):
    """Several operations that make one logical thing, written as a generator that yields operations.

    Each step is a child call: its own id and time line, the idempotency key of the whole plus its index. A step that
    fails is raised where it was yielded, so that a flow can clean up.

    Attributes:
        name: As for an operation.
        steps: Starts the generator; it yields operations, is sent their results and returns the result.
        value: The domain value it was made from.

    >>> def steps():
    ...     order = yield Operation(name="create", request=Request(method="POST"), parse=Response.json)
    ...     return order["id"]
    >>> Flow(name="orders.place", steps=steps).name
    'orders.place'
    """

    name: str
    steps: Callable[[], Generator[Operation[Any], Any, T]]
    value: object = None


@attrs.frozen(kw_only=True)
class Page(Generic[T]):
    """One page of a list, and the operation that fetches the next one.

    Attributes:
        items: The things on this page, in the vendor's order.
        next: The operation for the next page; ``None`` on the last one.
    """

    items: Sequence[T]
    next: Operation[Page[T]] | None = None


@attrs.frozen(kw_only=True)
class ItemOutcome(Generic[R]):
    """What became of one item of a bulk.

    Attributes:
        outcome: What is known about this item.
        result: Its result if it was done.
        error: Text of what went wrong otherwise, redacted.
    """

    outcome: Outcome
    result: R | None = None
    error: str | None = None


@attrs.frozen(kw_only=True)
class BulkResult(Generic[R]):
    """The outcomes of a bulk, one per item, in the order of the items.

    >>> BulkResult(items=[ItemOutcome(outcome=Outcome.DONE, result=1)]).done
    [1]
    """

    items: Sequence[ItemOutcome[R]]

    @property
    def done(self) -> list[R]:
        """The results of the items that were done."""
        return [item.result for item in self.items if item.outcome is Outcome.DONE and item.result is not None]


@attrs.frozen(kw_only=True)
class Bulk(Generic[R]):
    """Many items in chunks of the vendor's own size; each chunk is a child call.

    Attributes:
        name: As for an operation.
        chunks: One operation per chunk, in order; its result has one outcome per item of the chunk.
        sizes: Items in each chunk, for the outcomes of a chunk that failed.
        concurrency: Chunks under way at once.
        value: The domain values it was made from.
    """

    name: str
    chunks: Sequence[Operation[Sequence[ItemOutcome[R]]]]
    sizes: Sequence[int]
    concurrency: int = 4
    value: object = None


@attrs.frozen(kw_only=True, slots=False)  # every call makes one; from a dict it is copied in a third of the time
class CallOptions:
    """What a caller says about one call; adapters get it beside the request value.

    Attributes:
        idempotency_key: Key under which the vendor, or the idempotency plugin, does it once.
        tenant_id: Tenant on whose behalf it is done.
        timeout_seconds: Time of the whole call; ``None``: as configured.
        call_id: Id of the call, once it has one.
        reference: What the adapter puts into the vendor's metadata field, so that a webhook finds the call.
        extra: Vendor-specific fields, by vendor.
    """

    idempotency_key: str | None = None
    tenant_id: str | None = None
    timeout_seconds: float | None = None
    call_id: str = ""
    reference: str | None = None
    extra: Mapping[str, Mapping[str, object]] = attrs.field(factory=dict[str, Mapping[str, object]])

    def named(self, call_id: str) -> CallOptions:
        """Return a copy with the id of the call, which is its reference at the vendor unless another was given."""
        copy = object.__new__(CallOptions)
        copy.__dict__.update(self.__dict__, call_id=call_id, reference=self.reference or call_id)
        return copy

    def extra_for(self, vendor: str) -> Mapping[str, object]:
        """Return the extra fields meant for this vendor."""
        return self.extra.get(vendor, {})


NO_OPTIONS: Final = CallOptions()
"""Of a call about which the caller says nothing."""
