"""The writer: appends batches to the one file that is this process's own, and begins the next when it is full."""

from __future__ import annotations

import errno
import os
import secrets
import sys
import weakref
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ._files import create, file_name, tidy
from ._options import JsonlOptions


class _OwnFile:
    """An open file of one process; its descriptor closes with it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.pid = os.getpid()
        self.close = weakref.finalize(self, os.close, descriptor)
        # Finalizers run at exit before the core's last batches come; the system closes the file anyway.
        self.close.atexit = False


class Writer:
    """Appends whole lines, one write for each batch. For one thread at a time; nothing happens before the first batch.

    Args:
        directory: Where the files are; made if need be.
        options: Its sizes and habits; its path is not looked at.
    """

    def __init__(self, directory: Path, options: JsonlOptions) -> None:
        self._directory = directory
        self._options = options
        self._file: _OwnFile | None = None
        self._token = secrets.token_hex(2)
        self._number = 0

    def append(self, lines: bytes) -> None:
        """Append a batch.

        Args:
            lines: Whole lines.

        Raises:
            OSError: It was not, or not wholly, written. No part of a line stays behind; the next batch tries again.
        """
        file = self._file_for(len(lines))
        written = 0
        try:
            while written < len(lines):
                written += _write(file.descriptor, memoryview(lines)[written:])
        except BaseException:
            self._cut(file, written - (lines.rfind(b"\n", 0, written) + 1))
            raise
        if self._options.fsync:
            os.fsync(file.descriptor)

    def _cut(self, file: _OwnFile, torn: int) -> None:
        """Take the beginning of a line off the end of the file, or never write to that file again."""
        if torn == 0:
            return
        try:
            os.ftruncate(file.descriptor, os.fstat(file.descriptor).st_size - torn)
        except OSError:
            file.close()
            self._file = None

    def _file_for(self, size: int) -> _OwnFile:
        file = self._file
        if file is not None and file.pid != os.getpid():  # forked: that file is the parent's
            file.close()
            self._file = file = None
            self._number = 0
        if file is not None:
            state = os.fstat(file.descriptor)
            is_full = state.st_size > 0 and state.st_size + size > self._options.max_file_bytes
            if not is_full and state.st_nlink > 0:  # without a link somebody deleted it, and nobody would see the batch
                return file
        return self._begin()

    def _begin(self) -> _OwnFile:
        """Open the next file and let go of the one before; that one stays in use as long as there is no next."""
        before = self._file
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = _OwnFile(self._create())
        if before is not None:
            before.close()
        if self._options.fsync:
            self._sync_directory()
        tidy(self._directory, close_torn_lines=before is None, keep_files=self._options.keep_files)
        return self._file

    def _create(self) -> int:
        while True:
            name = file_name(datetime.now(UTC), os.getpid(), self._token, self._number + 1)
            try:
                descriptor = create(self._directory / name)
            except FileExistsError:  # process 1 of another container, in the same second
                self._token = secrets.token_hex(2)
            else:
                self._number += 1
                return descriptor

    def _sync_directory(self) -> None:
        """Make the name of a new file as durable as its lines will be."""
        if sys.platform != "win32":
            with suppress(OSError):  # some file systems cannot; the lines are synced by themselves
                descriptor = os.open(self._directory, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)


def _write(descriptor: int, data: memoryview) -> int:
    count = os.write(descriptor, data)
    if count == 0:  # it would be tried for ever
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return count
