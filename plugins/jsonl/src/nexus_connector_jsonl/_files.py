"""The directory: names of record files, who still writes them, and order among those that nobody writes any more.

Whoever writes a file holds its lock (flock) until it is done or dead; process ids are reused, locks are not. Where
there are no such locks (Windows, some network file systems) nobody can tell, and files of others are left alone.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import fcntl

_BINARY: Final = getattr(os, "O_BINARY", 0)
_NAME: Final = re.compile(r"records-([0-9]{8}T[0-9]{6}Z)-([0-9]+)-([0-9a-f]{4})(?:\.([0-9]+))?\.jsonl")

_log = logging.getLogger("nexus_connector.plugins.jsonl")


def file_name(begun: datetime, pid: int, token: str, number: int) -> str:
    """Return the name of a file.

    Args:
        begun: When it is begun, UTC.
        pid: Process that writes it.
        token: Four hex digits that tell apart those of one id.
        number: From 1, counts the files of that process.
    """
    count = f".{number}" if number > 1 else ""
    return f"records-{begun:%Y%m%dT%H%M%SZ}-{pid}-{token}{count}.jsonl"


def record_files(directory: Path) -> list[Path]:
    """Return the record files of a directory, first begun first.

    Raises:
        OSError: If the directory is not there or cannot be read.
    """
    found = [(match, path) for path in directory.iterdir() if (match := _NAME.fullmatch(path.name))]
    found.sort(key=lambda each: (each[0][1], int(each[0][2]), each[0][3], int(each[0][4] or 1)))
    return [path for _, path in found]


def create(path: Path) -> int:
    """Create a file that was not there, for this process to append to; it is locked until its descriptor is closed.

    Raises:
        FileExistsError: If it was there.
        OSError: If it cannot be created.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | _BINARY, 0o600)
    _lock(descriptor, wait=True)
    return descriptor


def tidy(directory: Path, *, close_torn_lines: bool, keep_files: int | None) -> None:
    """Put the files that nobody writes any more in order. Trouble with them is only logged: no batch hangs on it.

    Args:
        directory: Where they are.
        close_torn_lines: End the last line of those whose process died while it wrote.
        keep_files: Delete those that were begun first, until so many are left; ``None``: none.
    """
    if not close_torn_lines and keep_files is None:
        return
    try:
        files = record_files(directory)
    except OSError as error:
        _log.warning("%s cannot be listed: %s", directory, error)
        return
    if close_torn_lines:
        for path in files:
            _if_finished(path, _close_torn_line)
    if keep_files is not None:
        finished = [path for path in files if _if_finished(path, lambda _, __: None)]
        for path in finished[:-keep_files]:
            _if_finished(path, lambda each, _: each.unlink())


def _close_torn_line(_: Path, file: FileIO) -> None:
    file.seek(-1, os.SEEK_END)
    if file.read(1) != b"\n":
        file.write(b"\n")


def _if_finished(path: Path, action: Callable[[Path, FileIO], object]) -> bool:
    """Do something to a file, under its lock, if nobody writes it; returns whether it was done."""
    try:
        with path.open("r+b", buffering=0) as file:
            # Between its creation and its lock a file is empty, so an empty one may be somebody's.
            if not _lock(file.fileno(), wait=False) or os.fstat(file.fileno()).st_size == 0:
                return False
            action(path, file)
    except (FileNotFoundError, PermissionError):  # deleted meanwhile, or another user's
        return False
    except OSError as error:
        _log.warning("%s was left as it is: %s", path, error)
        return False
    return True


def _lock(descriptor: int, *, wait: bool) -> bool:
    if sys.platform != "win32":
        with suppress(OSError):  # another holds it, or the file system has no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False
