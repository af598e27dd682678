"""The reader: gives back the records of a directory in the order of time, whoever wrote them."""

from __future__ import annotations

import heapq
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias, cast

from ._files import record_files

Record: TypeAlias = dict[str, object]
_Found: TypeAlias = tuple[datetime, Record]

_BEGINNING = datetime.min.replace(tzinfo=UTC)


class Reader(Iterator[Record]):
    """Iterates over records, holding one of each file that overlaps in time; `read_records` makes it.

    Records of one call come strictly by ``created_at``. All others: files are merged by it, and each file keeps the
    order in which it was written, in which a long call stands behind shorter ones that began later.

    Attributes:
        torn: Lines passed over so far because they are no record: torn by a crash, or foreign.
    """

    def __init__(self, directory: Path, *, call_id: str | None, service: str | None, since: datetime | None) -> None:
        self.torn = 0
        self._directory = directory
        self._call_id = call_id
        self._service = service
        self._since = None if since is None else _aware(since)
        self._needle = _needle(call_id or service or "")
        self._records = self._merged() if call_id is None else self._sorted()

    def __next__(self) -> Record:
        return next(self._records)

    def _sorted(self) -> Iterator[Record]:
        found = [each for path in record_files(self._directory) for each in self._wanted(path)]
        found.sort(key=lambda each: each[0])
        for _, record in found:
            yield record

    def _merged(self) -> Iterator[Record]:
        """Merge by the moment of each file's next record; a file is opened when that of its first is reached."""
        heap: list[tuple[datetime, int, Record | None, Iterator[_Found]]] = [
            (_first_moment(path), index, None, self._wanted(path))
            for index, path in enumerate(record_files(self._directory))
        ]
        heapq.heapify(heap)
        while heap:
            _, index, record, stream = heap[0]
            if record is not None:
                yield record
            found = next(stream, None)
            if found is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (found[0], index, found[1], stream))

    def _wanted(self, path: Path) -> Iterator[_Found]:
        for line in _lines(path):
            if self._needle not in line:  # far cheaper than parsing, and true of nearly every line
                self.torn += _looks_torn(line)
                continue
            found = _parse(line)
            if found is None:
                self.torn += not line.isspace()
            elif self._is_wanted(*found):
                yield found

    def _is_wanted(self, moment: datetime, record: Record) -> bool:
        return (
            (self._call_id is None or self._call_id in (record.get("call_id"), record.get("parent_id")))
            and (self._service is None or record.get("service_name") == self._service)
            and (self._since is None or moment >= self._since)
        )


def read_records(
    path: str | os.PathLike[str],
    *,
    call_id: str | None = None,
    service: str | None = None,
    since: datetime | None = None,
) -> Reader:
    """Read the records of a directory, also while they are written.

    Args:
        path: The directory.
        call_id: Only those of this call, and of the calls that are parts of it.
        service: Only those of this service.
        since: Only those that began at this moment or later; UTC if it names no zone.

    Returns:
        An iterator with the number of lines it had to pass over, `Reader.torn`. It raises OSError if the directory or
        a file in it cannot be read.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as directory:
    ...     list(read_records(directory, service="crm"))
    []
    """
    return Reader(Path(path), call_id=call_id, service=service, since=since)


def _needle(text: str) -> bytes:
    """Return what every line with this value must contain; nothing for a text that can be written in several ways."""
    return text.encode() if re.fullmatch(r"[\w.:-]+", text, re.ASCII) else b""


def _lines(path: Path) -> Iterator[bytes]:
    try:
        file = path.open("rb")
    except FileNotFoundError:  # deleted since the directory was listed
        return
    with file:
        yield from file


def _looks_torn(line: bytes) -> bool:
    end = line[-2:].strip()
    return end != b"" and not end.endswith(b"}")


def _first_moment(path: Path) -> datetime:
    return next((found[0] for line in _lines(path) if (found := _parse(line))), _BEGINNING)


def _parse(line: bytes) -> _Found | None:
    try:
        record = json.loads(line.decode())
        return _aware(datetime.fromisoformat(record["created_at"])), cast("Record", record)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
