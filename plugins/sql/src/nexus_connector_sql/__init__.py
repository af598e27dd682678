"""Shared and durable state in SQLite or PostgreSQL."""

from ._options import SqlOptions
from ._plugin import plugin

__all__ = ["SqlOptions", "plugin"]
