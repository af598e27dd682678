"""The limiter plugin: rate limits that hold at the vendor, across processes."""

from ._options import LimiterOptions, ResetHeaders
from ._plugin import plugin
from ._status import Limit, limits

__all__ = ["Limit", "LimiterOptions", "ResetHeaders", "limits", "plugin"]
