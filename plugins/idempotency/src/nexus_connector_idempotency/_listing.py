"""The list of open outcomes: read from the index, looked up in the claims, and settled by a person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from nexus_connector.errors import IdempotencyUnavailableError, InvalidRequestError
from nexus_connector.outcomes import PendingOutcome
from nexus_connector.state import Item, Plain, StoreError
from nexus_connector.verdict import Outcome

from ._answer import BY_HAND
from ._index import READ, REMOVE, SHARDS, Entry, Gone, entries_of, index_key, shard_of
from ._ledger import Ledger, claim_key
from ._machine import LOOK, SETTLE, Reply, reply_of

if TYPE_CHECKING:
    from nexus_connector.io import Io
    from nexus_connector.outcomes import Settled

_BATCH: Final = 200
"""Claims that are looked up in one round trip."""
_LEFT_ALONE: Final = "its process ended, or lost the store, before it could say what became of it"


async def list_open(io: Io, ledger: Ledger) -> list[PendingOutcome]:
    """Return the open claims of a service, oldest first; entries that mean nothing are taken out of the index.

    Raises:
        IdempotencyUnavailableError: If the store does not answer.
    """
    service = ledger.service
    shards: list[Item] = [(READ, index_key(service, shard), ()) for shard in range(SHARDS)]
    entries = [entry for plain in await _run(io, ledger, shards) for entry in entries_of(plain)]
    looks: list[Item] = [(LOOK, _place(service, entry), ()) for entry in entries]
    replies: list[Plain] = []
    for start in range(0, len(looks), _BATCH):
        replies += await _run(io, ledger, looks[start : start + _BATCH])
    found: list[PendingOutcome] = []
    gone: list[Gone] = []
    for entry, plain in zip(entries, replies, strict=True):
        reply = reply_of(plain)
        if reply.call_id == entry.call_id and reply.word in {"in_flight", "unknown"}:
            found.append(_pending(io, service, entry, reply))
        else:
            gone.append((entry.call_id, entry.turn))
    await _take_out(io, ledger, gone)
    return sorted(found, key=lambda each: (each.since, each.call_id))


async def settle_open(io: Io, ledger: Ledger, pending: PendingOutcome, outcome: Settled, *, keep_ms: int) -> None:
    """Write down what a person found out about an open claim.

    Args:
        io: The Io of the face.
        ledger: The service's claims.
        pending: Which one.
        outcome: ``done`` keeps its key taken, anything else frees it.
        keep_ms: For how long.

    Raises:
        InvalidRequestError: If the call is still under way, or not open any more.
        IdempotencyUnavailableError: If the store does not answer.
    """
    place = claim_key(pending.service, pending.tenant_id, pending.operation, pending.idempotency_key)
    kept: Plain = [BY_HAND] if outcome is Outcome.DONE else None
    [word] = await _run(io, ledger, [(SETTLE, place, (pending.call_id, kept, keep_ms))])
    what = f"Call {pending.call_id} ({pending.operation} of {pending.service})"
    if word == "in_flight":
        hint = "Settle it when its time is over, if it is still in the list then."
        raise InvalidRequestError(f"{what} is still under way.", hint=hint)
    await _take_out(io, ledger, [(pending.call_id, 0)])
    if word == "gone":
        hint = "It ended, was settled or was taken over by a repeat meanwhile: read the list again."
        raise InvalidRequestError(f"{what} is not open any more.", hint=hint)


def _place(service: str, entry: Entry) -> tuple[str, ...]:
    return claim_key(service, entry.tenant_id, entry.operation, entry.key)


def _pending(io: Io, service: str, entry: Entry, reply: Reply) -> PendingOutcome:
    is_unknown = reply.word == "unknown"
    return PendingOutcome(
        service=service,
        operation=entry.operation,
        idempotency_key=entry.key,
        tenant_id=entry.tenant_id,
        call_id=entry.call_id,
        since=io.wall() - timedelta(milliseconds=reply.age_ms),
        state="unknown" if is_unknown else "in_flight",
        message=reply.kept if isinstance(reply.kept, str) else _LEFT_ALONE if is_unknown else "",
    )


async def _take_out(io: Io, ledger: Ledger, gone: Sequence[Gone]) -> None:
    by_shard: dict[int, list[Gone]] = {}
    for call_id, turn in gone:
        by_shard.setdefault(shard_of(call_id), []).append((call_id, turn))
    items: list[Item] = [(REMOVE, index_key(ledger.service, shard), found) for shard, found in by_shard.items()]
    if items:
        await _run(io, ledger, items)


async def _run(io: Io, ledger: Ledger, items: Sequence[Item]) -> list[Plain]:
    try:
        return await io.store_run(ledger.store, items)
    except StoreError as error:
        message = f"The outcomes of {ledger.service} cannot be read: {error}."
        hint = "Try again when stores.durable answers; nexus doctor looks at it."
        raise IdempotencyUnavailableError(message, service=ledger.service, hint=hint) from None
