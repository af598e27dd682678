"""Time lines: the records of a call put in order, with the waits between its attempts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, cast

import attrs

from nexus_connector.redaction import Redactor

Record: TypeAlias = Mapping[str, object]

_SHORTEST_WAIT_MS: Final = 1.0
"""Between two attempts there is always a little time; below this nobody waited."""


@attrs.frozen(kw_only=True)
class Step:
    """One thing that happened in a call.

    Attributes:
        kind: ``attempt``: a send on the wire; ``wait``: time between two of them; ``child``: a call that is part of it.
        offset_ms: When it began, from the beginning of the call.
        duration_ms: How long it took.
        number: Number of the attempt, from 1; of a child, how many attempts it made.
        call_id: Id of the call, of a child its own.
        operation: Name of the operation.
        method: HTTP method.
        endpoint: URL, redacted.
        http_status: Status of the answer; ``None`` without one.
        status: How it ended, as ``rate_limited``.
        outcome: What is known about the effect.
        error: Text of the error, redacted.
    """

    kind: Literal["attempt", "wait", "child"]
    offset_ms: float
    duration_ms: float
    number: int | None = None
    call_id: str | None = None
    operation: str | None = None
    method: str | None = None
    endpoint: str | None = None
    http_status: int | None = None
    status: str | None = None
    outcome: str | None = None
    error: str | None = None


@attrs.frozen(kw_only=True)
class Timeline:
    """What is recorded about one call.

    Attributes:
        call_id: Id of the call.
        parent_id: Id of the call it is part of.
        service: Service it went to.
        operation: Name of the operation.
        tenant_id: Tenant.
        began: When it began, aware.
        duration_ms: From its beginning to its end.
        attempts: Sends on the wire.
        status: How it ended; ``None`` if that is not recorded yet.
        outcome: What is known about its effect.
        vendor_reference: The vendor's own id of it.
        error: Text of the error it raised, redacted.
        steps: What happened, in order.
    """

    call_id: str
    parent_id: str | None
    service: str
    operation: str
    tenant_id: str | None
    began: datetime
    duration_ms: float
    attempts: int
    status: str | None
    outcome: str | None
    vendor_reference: str | None
    error: str | None
    steps: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {**attrs.asdict(self), "began": self.began.isoformat()}


def timeline_of(call_id: str, records: Sequence[Record], redactor: Redactor) -> Timeline | None:
    """Put the records of a call in order.

    Args:
        call_id: Id of the call.
        records: What a plugin kept of it, in any order; records of its child calls may be among them.
        redactor: Goes over them once more: whoever kept them, kept them elsewhere.

    Returns:
        The time line; ``None`` if no record is of this call or of a child of it.
    """
    plain = [cast("Record", redactor.data(record)) for record in records]
    own = sorted((each for each in plain if each.get("call_id") == call_id), key=_began)
    children = sorted((each for each in plain if _is_child(each, call_id)), key=_began)
    attempts = [each for each in own if each.get("kind") == "attempt"]
    whole = next((each for each in own if each.get("kind") == "call"), None)
    if not own and not children:
        return None
    first = whole or min([*own, *children], key=_began)
    begin = _began(first)
    steps = [*_with_waits([_step(each, begin, "attempt") for each in attempts])]
    steps += [_step(each, begin, "child") for each in children]
    steps.sort(key=lambda step: step.offset_ms)
    end = max((step.offset_ms + step.duration_ms for step in steps), default=0.0)
    return Timeline(
        call_id=call_id,
        parent_id=_text(own[0], "parent_id") if own else None,
        service=_text(first, "service_name") or "",
        operation=_text(first, "operation") or "",
        tenant_id=_text(first, "tenant_id"),
        began=begin,
        duration_ms=_number(whole, "duration_ms") if whole else end,
        attempts=len(attempts),
        status=_text(whole, "status") if whole else None,
        outcome=_text(whole, "outcome") if whole else None,
        vendor_reference=next((found for each in reversed(own) if (found := _text(each, "vendor_reference"))), None),
        error=_text(whole, "error_message") if whole else None,
        steps=tuple(steps),
    )


def _is_child(record: Record, call_id: str) -> bool:
    return record.get("kind") == "call" and record.get("parent_id") == call_id


def _with_waits(attempts: Sequence[Step]) -> list[Step]:
    """Put a wait wherever time passed before an attempt: for a limit, a token, or a retry."""
    steps: list[Step] = []
    free = 0.0
    for attempt in attempts:
        if attempt.offset_ms - free >= _SHORTEST_WAIT_MS:
            steps.append(Step(kind="wait", offset_ms=free, duration_ms=round(attempt.offset_ms - free, 3)))
        steps.append(attempt)
        free = attempt.offset_ms + attempt.duration_ms
    return steps


def _step(record: Record, begin: datetime, kind: Literal["attempt", "child"]) -> Step:
    return Step(
        kind=kind,
        offset_ms=round((_began(record) - begin).total_seconds() * 1000, 3),
        duration_ms=_number(record, "duration_ms"),
        number=int(_number(record, "attempt_number")),
        call_id=_text(record, "call_id"),
        operation=_text(record, "operation"),
        method=_text(record, "method"),
        endpoint=_text(record, "endpoint"),
        http_status=int(_number(record, "http_status_code")) or None,
        status=_text(record, "status"),
        outcome=_text(record, "outcome"),
        error=_text(record, "error_message"),
    )


def _began(record: Record) -> datetime:
    return datetime.fromisoformat(str(record.get("created_at")))


def _text(record: Record, name: str) -> str | None:
    value = record.get(name)
    return None if value is None else str(value)


def _number(record: Record, name: str) -> float:
    value = record.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
