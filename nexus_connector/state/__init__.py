"""State behind gates and stages: atomic operations on keys, in this process or in a shared store."""

from .memory import MemoryStore
from .store import AtomicOp, Item, Key, Plain, Store, StoreError, encode_key
from .watched import WatchedStore

__all__ = ["AtomicOp", "Item", "Key", "MemoryStore", "Plain", "Store", "StoreError", "WatchedStore", "encode_key"]
