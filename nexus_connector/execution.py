"""Execution: operations, flows, bulks and pages become calls of one runtime, the same for both faces."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from .call import Call
from .door import perform
from .errors import ConnectorError, InvalidRequestError
from .ids import ulid
from .operation import NO_OPTIONS, Bulk, BulkResult, CallOptions, Flow, ItemOutcome, Operation

if TYPE_CHECKING:
    from datetime import datetime

    from .io import Io
    from .runtime import Runtime
    from .target import Target

T = TypeVar("T")
R = TypeVar("R")


def execute(
    runtime: Runtime,
    io: Io,
    service: str,
    build: Callable[[Target, CallOptions], Operation[Any] | Flow[Any] | Bulk[Any]],
    options: CallOptions = NO_OPTIONS,
) -> Coroutine[Any, Any, Any]:
    """Build what is to be done, and return what does it.

    Args:
        runtime: The runtime.
        io: The Io of the face.
        service: Name of the service.
        build: Makes the operation, flow or bulk; pure, so bad input is an error before anything is sent.
        options: What the caller said; the id of the call is added.

    Raises:
        ConnectorError: Whatever went wrong.
    """
    target = runtime.target(service)
    wall = io.wall()
    options = options.named(_id_at(io, wall))
    try:
        _check(options)
        thing = build(target, options)
    except ConnectorError as error:
        error.service = error.service or service
        error.seal(target.redactor)
        raise
    if isinstance(thing, Operation):
        return perform(new_call(target, io, thing, options, wall=wall))
    deadline = io.now() + timeout_of(target, thing.name, None, options)
    if isinstance(thing, Flow):
        return _flow(target, io, thing, options, deadline)
    return _bulk(target, io, thing, options, deadline)


def new_id(io: Io) -> str:
    """Return the id of a new call."""
    return _id_at(io, io.wall())


def _id_at(io: Io, wall: datetime) -> str:
    return ulid(int(wall.timestamp() * 1000), io.random.getrandbits(80))


def new_call(
    target: Target,
    io: Io,
    operation: Operation[Any],
    options: CallOptions,
    *,
    parent_id: str | None = None,
    until: float = math.inf,
    wall: datetime | None = None,
) -> Call:
    """Return the call of one operation.

    Args:
        target: The service.
        io: The Io of the face.
        operation: What is done.
        options: What the caller said, with the call's id.
        parent_id: Id of the call it is a part of.
        until: The parent's deadline.
        wall: The time of day, if it was just read.
    """
    timeout = timeout_of(target, operation.name, operation.timeout_seconds, options)
    return Call(
        id=options.call_id,
        target=target,
        operation=operation,
        options=options,
        io=io,
        deadline=min(io.now() + timeout, until),
        parent_id=parent_id,
        wall_started=wall,
    )


def timeout_of(target: Target, name: str, own: float | None, options: CallOptions) -> float:
    """Return the time of a call: the argument's, else the configured endpoint's, the operation's, the service's."""
    if options.timeout_seconds is not None:
        return options.timeout_seconds
    endpoint = target.config.endpoints.get(name)
    if endpoint is not None and endpoint.timeout_seconds is not None:
        return endpoint.timeout_seconds
    return own if own is not None else target.config.timeout_seconds


def _check(options: CallOptions) -> None:
    timeout = options.timeout_seconds
    if timeout is not None and (
        isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < math.inf
    ):
        raise InvalidRequestError("timeout_seconds is not a number of seconds above 0.", hint="Nothing was sent.")
    if options.tenant_id is not None and (not isinstance(options.tenant_id, str) or not options.tenant_id):
        raise InvalidRequestError("tenant_id is not text, or empty.", hint="Pass the tenant's id, or leave it out.")


def _child(io: Io, options: CallOptions, index: int) -> CallOptions:
    key = options.idempotency_key
    return attrs.evolve(
        options, call_id=new_id(io), idempotency_key=None if key is None else f"{key}/{index}", timeout_seconds=None
    )


async def _flow(target: Target, io: Io, flow: Flow[T], options: CallOptions, deadline: float) -> T:
    """Run a flow step by step; each is a child call."""
    steps = flow.steps()
    index = 0
    try:
        operation = next(steps)
        while True:
            call = new_call(
                target, io, operation, _child(io, options, index), parent_id=options.call_id, until=deadline
            )
            index += 1
            try:
                value = await perform(call)
            except ConnectorError as error:
                operation = steps.throw(error)
            else:
                operation = steps.send(value)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # the generator's own result


async def _bulk(target: Target, io: Io, bulk: Bulk[R], options: CallOptions, deadline: float) -> BulkResult[R]:
    """Run the chunks of a bulk; what fails in one concerns its own items only."""

    async def chunk(index: int, operation: Operation[Sequence[ItemOutcome[R]]]) -> Sequence[ItemOutcome[R]]:
        call = new_call(target, io, operation, _child(io, options, index), parent_id=options.call_id, until=deadline)
        return await perform(call)  # type: ignore[no-any-return]  # what the chunk's parser makes

    tasks = [partial(chunk, index, operation) for index, operation in enumerate(bulk.chunks)]
    items: list[ItemOutcome[R]] = []
    for size, outcome in zip(bulk.sizes, await io.gather(tasks, bulk.concurrency), strict=True):
        if not isinstance(outcome, Exception):
            items.extend([_redacted(target, item) for item in outcome])
        elif isinstance(outcome, ConnectorError):
            failed: ItemOutcome[R] = ItemOutcome(outcome=outcome.outcome, error=str(outcome))
            items.extend([failed] * size)
        else:
            raise outcome
    return BulkResult(items=items)


def _redacted(target: Target, item: ItemOutcome[R]) -> ItemOutcome[R]:
    return item if item.error is None else attrs.evolve(item, error=target.redactor.text(item.error))
