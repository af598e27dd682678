"""State behind gates and stages: atomic operations on keys, in this process or in a shared store."""

from .later import LaterStore
from .memory import MemoryStore
from .store import AsyncStore, AtomicOp, Described, Item, Key, Plain, Store, StoreError, encode_key, twin_of
from .watched import WatchedStore

__all__ = [
    "AsyncStore",
    "AtomicOp",
    "Described",
    "Item",
    "Key",
    "LaterStore",
    "MemoryStore",
    "Plain",
    "Store",
    "StoreError",
    "WatchedStore",
    "encode_key",
    "twin_of",
]
