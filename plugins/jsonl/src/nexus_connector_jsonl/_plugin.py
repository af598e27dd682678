"""The plugin: the hooks of the core, on top of the writer and the reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nexus_connector import IntegrationLog, Plugin, hookimpl

from ._lines import encode
from ._options import JsonlOptions
from ._reader import read_records
from ._writer import Writer


class JsonlSink:
    """Keeps records in a directory; does nothing while no directory is configured.

    Args:
        options: Those of ``[plugins.jsonl]``.
    """

    def __init__(self, options: JsonlOptions) -> None:
        # Absolute from here on: a process that changes its directory later goes on in the same place.
        self._directory = Path(options.path).absolute() if options.path else None
        self._writer = None if self._directory is None else Writer(self._directory, options)

    @hookimpl
    def store_log(self, records: Sequence[IntegrationLog]) -> None:
        """Append a batch.

        Raises:
            OSError: If it could not be written; the next batch tries again.
        """
        if self._writer is not None and records:
            self._writer.append(encode(records))

    @hookimpl
    def read_log(self, call_id: str) -> Sequence[Mapping[str, object]] | None:
        """Return the records of a call, from every process that writes here, or ``None`` if there are none."""
        if self._directory is None:
            return None
        try:
            return list(read_records(self._directory, call_id=call_id)) or None
        except FileNotFoundError:  # no batch has come yet
            return None


def _waiting(options: JsonlOptions) -> str | None:
    return None if options.path else "plugins.jsonl.path"


plugin = Plugin(name="jsonl", factory=JsonlSink, config=JsonlOptions, waiting=_waiting)
"""What the entry point names."""
