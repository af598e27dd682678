"""Sends email through SendGrid."""

from ._adapter import SendGridServiceAdapter
from ._options import SendGridOptions

__all__ = ["SendGridOptions", "SendGridServiceAdapter"]
