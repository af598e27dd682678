"""The cache plugin: answers are kept and revalidated by the rules of HTTP caching, per tenant and account."""

from ._options import CacheOptions
from ._plugin import plugin

__all__ = ["CacheOptions", "plugin"]
