"""Sends email through Postmark."""

from ._adapter import PostmarkServiceAdapter
from ._options import PostmarkOptions

__all__ = ["PostmarkOptions", "PostmarkServiceAdapter"]
