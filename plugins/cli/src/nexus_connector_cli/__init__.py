"""The `nexus` command: look at, check and try the connector of an application."""

from ._group import main
from ._plugin import plugin

__all__ = ["main", "plugin"]
