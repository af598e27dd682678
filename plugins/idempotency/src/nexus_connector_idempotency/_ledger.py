"""The ledger: the claims of one service in its durable store, and what is still to be written there."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import attrs

from nexus_connector.state import Item, Key, Plain, StoreError

from ._index import ADD, ENTRIES, REMOVE, Entry, index_key, shard_of
from ._machine import ANY_GENERATION, CLAIM, FINISH, LOOK, Ending, Reply, Wish, reply_of

if TYPE_CHECKING:
    from nexus_connector.background import Outbox
    from nexus_connector.io import Io
    from nexus_connector.state import Store

TRY_SECONDS: Final = 0.5
"""How often what could not be written is tried again, while calls of the service go on."""
_LATE: Final = 1000
"""Endings that wait for the store. One that is dropped leaves its claim in flight, and then unknown: never free."""


def claim_key(service: str, tenant_id: str | None, operation: str, key: str) -> Key:
    """Return the key of a claim; no tenant is another one than a tenant without a name."""
    return service, "idempotency", "claim", "" if tenant_id is None else f"={tenant_id}", operation, key


@attrs.frozen(kw_only=True)
class Claim:
    """What one call claims.

    Attributes:
        place: Where the claim is.
        entry: What the index says of it.
        fingerprint: Of the call's arguments.
        resend_ms: For how long after the first claim an unknown outcome may be sent again; 0: never.
        keep_ms: How long it is kept when it was done; 0: not at all.
        open_ms: How long it is kept when nobody says what became of it.
    """

    place: Key
    entry: Entry
    fingerprint: str
    resend_ms: int
    keep_ms: int
    open_ms: int

    def again(self) -> Claim:
        """Return it for one more try of the same call."""
        return attrs.evolve(self, entry=attrs.evolve(self.entry, turn=self.entry.turn + 1))

    def ended(self, generation: int, ending: Ending, kept: Plain = None) -> Item:
        """Return the item that says what became of it."""
        return FINISH, self.place, (self.entry.call_id, generation, ending, kept, self.keep_ms)


@attrs.frozen
class _Late:
    """What became of a claim, and is yet to be written."""

    claim: Claim
    generation: int
    ending: Ending
    kept: Plain


class Ledger:
    """Writes claims. One ledger serves one service in one process, from all its threads.

    Args:
        service: Name of the service.
        store: The durable store.
        now: Seconds of a clock that never goes back.
    """

    def __init__(self, service: str, store: Store, *, now: Callable[[], float]) -> None:
        self.service = service
        self.store = store
        self._now = now
        self._log = logging.getLogger(f"nexus_connector.{service}")
        self._lock = threading.Lock()
        self._gone: dict[int, dict[str, int]] = {}
        self._late: deque[_Late] = deque()
        self._next_try = 0.0

    async def claim(self, io: Io, claim: Claim, lease_ms: int) -> Reply | None:
        """Enter the call in the index and claim its key, in one batch; ``None``: the index is full.

        Raises:
            StoreError: If the store does not answer; nobody knows whether it was claimed.
        """
        entry, index = claim.entry, self._index(claim)
        with self._lock:
            gone = sorted(self._gone.pop(shard_of(entry.call_id), {}).items())
        added = (*attrs.astuple(entry), lease_ms + claim.open_ms, gone)
        wish = Wish(entry.call_id, claim.fingerprint, lease_ms, claim.resend_ms, claim.open_ms)
        items: list[Item] = [(ADD, index, (*added, ENTRIES)), (CLAIM, claim.place, attrs.astuple(wish))]
        has_room, plain = await io.store_run(self.store, items)
        reply = reply_of(plain)
        if reply.word != "granted":
            self._forget_later(entry.call_id, entry.turn)
            return reply
        if isinstance(reply.kept, str):
            self._forget_later(reply.kept)  # from now on this call is listed instead of the one before
        if not has_room and not reply.doubt:
            await io.store_run(self.store, [claim.ended(reply.generation, "released")])
            return None
        if not has_room:  # what is unknown stays listed, whatever it takes
            await io.store_run(self.store, [(ADD, index, (*added, 10 * ENTRIES))])
        return reply

    async def look(self, io: Io, claim: Claim) -> Reply:
        """Return what the claim is for this call now, and change nothing."""
        [plain] = await io.store_run(self.store, [(LOOK, claim.place, (claim.fingerprint, claim.resend_ms))])
        return reply_of(plain)

    async def finish(
        self, io: Io, outbox: Outbox, claim: Claim, generation: int, ending: Ending, kept: Plain = None
    ) -> None:
        """Write what became of a claim; what cannot be written now is written later."""
        late = _Late(claim, generation, ending, kept)
        try:
            self._hear(late, await io.store_run(self.store, self._items(late)))
        except StoreError:
            self._put_off(late)
        except BaseException:  # cancelled meanwhile: writing it twice changes nothing
            outbox.post(lambda: self._write(late))
            raise

    def post(self, outbox: Outbox, claim: Claim, generation: int, ending: Ending, kept: Plain = None) -> None:
        """Have what became of a claim written in the background."""
        late = _Late(claim, generation, ending, kept)
        outbox.post(lambda: self._write(late))

    def put_off(self, claim: Claim, ending: Ending, kept: Plain = None) -> None:
        """Keep what became of a claim of which nobody knows whether it was written, until the store answers."""
        self._put_off(_Late(claim, ANY_GENERATION, ending, kept))

    def catch_up(self, outbox: Outbox) -> None:
        """Try in the background to write what could not be written before; costs nothing if there is nothing."""
        if not self._late:
            return
        now = self._now()
        with self._lock:
            if now < self._next_try:
                return
            self._next_try = now + TRY_SECONDS
        outbox.post(self._write_late)

    def _items(self, late: _Late) -> list[Item]:
        ended = late.claim.ended(late.generation, late.ending, late.kept)
        if late.ending == "unknown" or late.generation == ANY_GENERATION:
            return [ended]  # it stays listed, or may have to
        return [ended, (REMOVE, self._index(late.claim), ((late.claim.entry.call_id, 0),))]

    def _index(self, claim: Claim) -> Key:
        return index_key(self.service, shard_of(claim.entry.call_id))

    def _forget_later(self, call_id: str, turn: int = 0) -> None:
        """Take an entry that means nothing out again, with the next claim of its shard."""
        with self._lock:
            self._gone.setdefault(shard_of(call_id), {})[call_id] = turn

    def _put_off(self, late: _Late) -> None:
        with self._lock:
            if len(self._late) >= _LATE:
                self._late.popleft()
                self._log.warning("the durable store is down; the outcome of a call of %s is lost here", self.service)
            self._late.append(late)

    def _write(self, late: _Late) -> None:
        try:
            self._hear(late, self.store.run(self._items(late)))
        except StoreError:
            self._put_off(late)

    def _write_late(self) -> None:
        """Write what waits, in its order; ends where the store fails again. Only the background thread runs it."""
        while self._late:
            late = self._late[0]
            try:
                self._hear(late, self.store.run(self._items(late)))
            except StoreError:
                return
            with self._lock:
                if self._late and self._late[0] is late:
                    self._late.popleft()

    def _hear(self, late: _Late, replies: Sequence[Plain]) -> None:
        """Hear what a claim has become; tell of a result that came when it had gone on without it."""
        if late.generation == ANY_GENERATION:
            if replies[0] != "unknown":
                self._forget_later(late.claim.entry.call_id)
        elif replies[0] == "gone" and late.ending == "done":
            call_id = late.claim.entry.call_id
            text = "call %s of %s ended when its key was taken over or settled; what is kept there was not changed"
            self._log.warning(text, call_id, self.service, extra={"service": self.service, "call_id": call_id})
