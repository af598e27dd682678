"""Writes every integration record as one line of JSON into a directory, and reads them back."""

from ._options import JsonlOptions
from ._plugin import plugin
from ._reader import Reader, read_records

__all__ = ["JsonlOptions", "Reader", "plugin", "read_records"]
