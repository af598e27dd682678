"""Operations: the steps as stores run them, each with its twin, and the keys under which they find their state."""

from __future__ import annotations

from typing import Final

from nexus_connector.state import AtomicOp, Key

from ._ledger import read, reserve, settle
from ._machine import give, look, take
from ._twins import GIVE_LUA, LOOK_LUA, RESERVE_LUA, SETTLE_LUA, SPENT_LUA, TAKE_LUA

TAKE: Final = AtomicOp(name="limiter.take", version=1, py=take, lua=TAKE_LUA)
GIVE: Final = AtomicOp(name="limiter.give", version=1, py=give, lua=GIVE_LUA)
LOOK: Final = AtomicOp(name="limiter.look", version=1, py=look, lua=LOOK_LUA)
RESERVE: Final = AtomicOp(name="limiter.reserve", version=1, py=reserve, lua=RESERVE_LUA)
SETTLE: Final = AtomicOp(name="limiter.settle", version=1, py=settle, lua=SETTLE_LUA)
SPENT: Final = AtomicOp(name="limiter.spent", version=1, py=read, lua=SPENT_LUA)


def limiter_key(service: str) -> Key:
    """Return the key of the limits of a service."""
    return service, "limiter"


def ledger_key(service: str) -> Key:
    """Return the key of what a service has spent."""
    return service, "limiter", "budgets"
