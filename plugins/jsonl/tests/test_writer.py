from __future__ import annotations

import errno
import gc
import logging
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nexus_connector import IntegrationLog
from nexus_connector_jsonl import JsonlOptions, plugin, read_records
from nexus_connector_jsonl import _files as files
from nexus_connector_jsonl._plugin import JsonlSink

MakeRecord = Callable[..., IntegrationLog]

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="file modes, file locks")
NAME = re.compile(r"records-\d{8}T\d{6}Z-\d+-[0-9a-f]{4}(\.\d+)?\.jsonl")
OLD = "records-20240101T000000Z-1-abcd"


@pytest.fixture
def old_umask() -> Iterator[None]:
    """Use the most open umask that there is."""
    before = os.umask(0)
    yield
    os.umask(before)


def sink(path: Path, **options: Any) -> JsonlSink:
    """Make the plugin for a directory."""
    made = plugin.factory(JsonlOptions(path=str(path), **options))
    assert isinstance(made, JsonlSink)
    return made


def ids(path: Path) -> list[object]:
    """Return which records a directory holds."""
    return [record["id"] for record in read_records(path)]


def test_a_batch_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: MakeRecord) -> None:
    """Each batch is appended by one write, whole lines at a time, all into one file."""
    sizes: list[int] = []
    write = os.write

    def counted(descriptor: int, data: memoryview) -> int:
        sizes.append(len(data))
        assert bytes(data).endswith(b"\n")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", counted)
    kept = sink(tmp_path)
    for batch in range(3):
        kept.store_log([make_record(f"{batch}-{index}") for index in range(32)])

    (file,) = tmp_path.iterdir()
    assert len(sizes) == 3
    assert sum(sizes) == file.stat().st_size
    assert NAME.fullmatch(file.name)


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: MakeRecord) -> None:
    """A write that the system cuts short is continued where it ended."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:100]))

    sink(tmp_path).store_log([make_record("one"), make_record("two")])

    assert ids(tmp_path) == ["one", "two"]


@posix_only
@pytest.mark.usefixtures("old_umask")
def test_nobody_else_may_read(tmp_path: Path, make_record: MakeRecord) -> None:
    """The directory is its owner's alone, and so is every file, rotated ones too, whatever the umask."""
    kept = sink(tmp_path / "new", max_file_bytes=4096)
    for index in range(20):
        kept.store_log([make_record(str(index))])

    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    made = list((tmp_path / "new").iterdir())
    assert len(made) > 1
    assert {stat.S_IMODE(file.stat().st_mode) for file in made} == {0o600}


def test_rotation(tmp_path: Path, make_record: MakeRecord) -> None:
    """A full file is followed by the next number; none grows beyond the limit, and nothing is lost or reordered."""
    kept = sink(tmp_path, max_file_bytes=4096)
    for index in range(50):
        kept.store_log([make_record(f"{index:02}")])

    made = files.record_files(tmp_path)
    assert len(made) > 2
    assert [NAME.fullmatch(file.name)[1] for file in made[:3]] == [None, ".2", ".3"]  # type: ignore[index]
    assert all(file.stat().st_size <= 4096 for file in made)
    assert ids(tmp_path) == [f"{index:02}" for index in range(50)]


def test_a_batch_is_never_parted(tmp_path: Path, make_record: MakeRecord) -> None:
    """A batch larger than a file may be goes into a file of its own, whole."""
    kept = sink(tmp_path, max_file_bytes=4096)
    kept.store_log([make_record("small")])
    kept.store_log([make_record(str(index)) for index in range(32)])
    kept.store_log([make_record("next")])

    counts = [len(file.read_bytes().splitlines()) for file in files.record_files(tmp_path)]
    assert counts == [1, 32, 1]


def test_ten_thousand_records_keep_their_order(tmp_path: Path, make_record: MakeRecord) -> None:
    """What was written in order is read in order, over many batches and files."""
    names = [f"{index:05}" for index in range(10_000)]
    kept = sink(tmp_path, max_file_bytes=200_000)
    for start in range(0, len(names), 32):
        kept.store_log([make_record(name) for name in names[start : start + 32]])

    reader = read_records(tmp_path)
    assert [record["id"] for record in reader] == names
    assert reader.torn == 0


@posix_only
def test_keep_files(tmp_path: Path, make_record: MakeRecord) -> None:
    """Beside the file that is written so many finished ones stay, the oldest go; other files are not touched."""
    (tmp_path / f"{OLD}.jsonl").write_bytes(b"{}\n")
    (tmp_path / "notes.jsonl").write_bytes(b"{}\n")
    kept = sink(tmp_path, max_file_bytes=4096, keep_files=2)
    for index in range(60):
        kept.store_log([make_record(f"{index:02}")])

    left = files.record_files(tmp_path)
    assert len(left) == 3
    assert ids(tmp_path)[-1] == "59"
    assert ids(tmp_path) == sorted(ids(tmp_path), key=str)
    assert (tmp_path / "notes.jsonl").exists()


@posix_only
def test_keep_files_spares_what_is_written(tmp_path: Path, make_record: MakeRecord) -> None:
    """The file of somebody who still writes is never deleted, however old it is; nor is one that has just begun."""
    other = sink(tmp_path)
    other.store_log([make_record("first")])
    (busy,) = tmp_path.iterdir()
    busy = busy.rename(tmp_path / f"{OLD}.jsonl")
    begun = tmp_path / f"{OLD}.2.jsonl"
    begun.touch()

    kept = sink(tmp_path, max_file_bytes=4096, keep_files=1)
    for index in range(60):
        kept.store_log([make_record(str(index))])
    other.store_log([make_record("last")])

    assert len(busy.read_bytes().splitlines()) == 2
    assert begun.exists()


@posix_only
def test_a_torn_line_is_closed_once(tmp_path: Path, make_record: MakeRecord) -> None:
    """The first batch ends the last line of files whose process died in it, once; whole files stay as they are."""
    torn, whole = tmp_path / f"{OLD}.jsonl", tmp_path / f"{OLD}.2.jsonl"
    torn.write_bytes(b'{"id":"a"}\n{"id":"b')
    whole.write_bytes(b'{"id":"c"}\n')
    (tmp_path / "records-mine.jsonl").write_bytes(b"torn")

    for _ in range(3):
        sink(tmp_path).store_log([make_record()])

    assert torn.read_bytes() == b'{"id":"a"}\n{"id":"b\n'
    assert whole.read_bytes() == b'{"id":"c"}\n'
    assert (tmp_path / "records-mine.jsonl").read_bytes() == b"torn"


@posix_only
def test_a_living_file_is_not_touched(tmp_path: Path, make_record: MakeRecord) -> None:
    """A line that somebody is still writing is not torn; it is one when they are gone."""
    path = tmp_path / f"{OLD}.jsonl"
    descriptor = files.create(path)
    try:
        os.write(descriptor, b'{"id":"half')
        sink(tmp_path, keep_files=1).store_log([make_record()])
        assert path.read_bytes() == b'{"id":"half'
    finally:
        os.close(descriptor)

    sink(tmp_path).store_log([make_record()])
    assert path.read_bytes() == b'{"id":"half\n'


def test_without_locks_others_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: MakeRecord
) -> None:
    """Where nobody can tell who still writes, no file of another is closed or deleted; the own ones are written."""
    monkeypatch.setattr(files, "_lock", lambda _descriptor, *, wait: False)
    (tmp_path / f"{OLD}.jsonl").write_bytes(b"torn")
    (tmp_path / f"{OLD}.2.jsonl").write_bytes(b"torn")

    sink(tmp_path, keep_files=1).store_log([make_record("mine")])

    assert (tmp_path / f"{OLD}.jsonl").read_bytes() == b"torn"
    assert (tmp_path / f"{OLD}.2.jsonl").read_bytes() == b"torn"
    assert ids(tmp_path) == ["mine"]


def test_trouble_with_other_files_costs_no_batch(
    tmp_path: Path, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be put in order is logged, and the batch is written."""
    (tmp_path / f"{OLD}.jsonl").mkdir()

    with caplog.at_level(logging.WARNING, "nexus_connector.plugins.jsonl"):
        sink(tmp_path).store_log([make_record()])

    assert len(files.record_files(tmp_path)) == 2
    assert f"{OLD}.jsonl was left as it is" in caplog.text or sys.platform == "win32"


def test_files_of_other_users_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that this user may not open is nobody's concern: no batch fails, and nothing is logged."""
    (tmp_path / f"{OLD}.jsonl").write_bytes(b"torn")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "refused")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        sink(tmp_path, keep_files=1).store_log([make_record("one")])

    assert caplog.text == ""
    assert ids(tmp_path) == ["one"]


def test_a_directory_that_cannot_be_listed_costs_no_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    """A directory that may be written but not listed takes records."""

    def refuse(_: Path) -> list[Path]:
        raise PermissionError(errno.EACCES, "listing refused")

    with monkeypatch.context() as patch:
        patch.setattr(files, "record_files", refuse)
        sink(tmp_path).store_log([make_record("one")])

    assert ids(tmp_path) == ["one"]
    assert "cannot be listed" in caplog.text


def disk_full_after(count: int) -> Callable[[int, memoryview], int]:
    """Return a write that takes so many bytes and then none."""
    write, left = os.write, count

    def full(descriptor: int, data: memoryview) -> int:
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(descriptor, data[:left])
        left -= written
        return written

    return full


@pytest.mark.parametrize("room", [0, 1, 100, 700, 1000, 1500])
def test_a_full_disk_leaves_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: MakeRecord, room: int
) -> None:
    """A batch that does not fit raises, leaves only whole lines, and the next one goes into the same file."""
    kept = sink(tmp_path)
    kept.store_log([make_record("before")])
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", disk_full_after(room))
        with pytest.raises(OSError, match="No space"):
            kept.store_log([make_record("lost-1"), make_record("lost-2"), make_record("lost-3")])
    kept.store_log([make_record("after")])

    (file,) = tmp_path.iterdir()
    reader = read_records(tmp_path)
    found = [record["id"] for record in reader]
    assert found == ["before", *["lost-1", "lost-2", "lost-3"][: len(found) - 2], "after"]
    assert reader.torn == 0
    assert file.read_bytes().endswith(b"}\n")


def test_a_file_that_is_still_empty_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: MakeRecord
) -> None:
    """A full disk does not leave an empty file for each batch that it refused, however large the batches are."""
    kept = sink(tmp_path, max_file_bytes=4096)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", disk_full_after(0))
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                kept.store_log([make_record(error_message="x" * 5000)])

    assert len(list(tmp_path.iterdir())) == 1


def test_what_cannot_be_cut_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: MakeRecord
) -> None:
    """If the torn line cannot be cut off, the next batch goes to another file, and the line is closed there."""
    kept = sink(tmp_path)
    kept.store_log([make_record("before")])

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "append only")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", disk_full_after(100))
        patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(OSError, match="No space"):
            kept.store_log([make_record("lost")])
    kept.store_log([make_record("after")])

    reader = read_records(tmp_path)
    assert [record["id"] for record in reader] == ["before", "after"]
    assert reader.torn == 1
    assert len(files.record_files(tmp_path)) == 2
    if sys.platform != "win32":
        assert all(file.read_bytes().endswith(b"\n") for file in tmp_path.iterdir())


def test_a_write_of_nothing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: MakeRecord
) -> None:
    """A system that takes no byte and reports no error is not asked for ever."""
    monkeypatch.setattr(os, "write", lambda _descriptor, _data: 0)
    with pytest.raises(OSError, match=r"."):
        sink(tmp_path).store_log([make_record()])


def test_a_place_that_is_no_directory(tmp_path: Path, make_record: MakeRecord) -> None:
    """Where no directory can be made the hook raises; when it can be, the next batch is written."""
    place = tmp_path / "records"
    place.write_bytes(b"")
    kept = sink(place)
    with pytest.raises(OSError, match="records"):
        kept.store_log([make_record("lost")])
    place.unlink()
    kept.store_log([make_record("after")])

    assert ids(place) == ["after"]


def test_a_failed_rotation_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: MakeRecord
) -> None:
    """If the next file cannot be created the hook raises, and the next batch tries again with the same number."""
    kept = sink(tmp_path, max_file_bytes=4096)
    kept.store_log([make_record("before", error_message="x" * 3500)])

    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(OSError, match="Too many"):
            kept.store_log([make_record("lost", error_message="x" * 3500)])
    kept.store_log([make_record("after", error_message="x" * 3500)])

    assert ids(tmp_path) == ["before", "after"]
    assert [".2." in file.name for file in files.record_files(tmp_path)] == [False, True]


def test_a_taken_name_is_not_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: MakeRecord) -> None:
    """Two processes of one id (containers) that begin in one second never write into one file."""
    tokens = iter(["aaaa", "aaaa", "bbbb"])
    monkeypatch.setattr("secrets.token_hex", lambda _: next(tokens))
    monkeypatch.setattr(
        "nexus_connector_jsonl._writer.file_name", lambda _begun, _pid, token, _number: f"{OLD[:-4]}{token}.jsonl"
    )

    first, second = sink(tmp_path), sink(tmp_path)
    first.store_log([make_record("first")])
    second.store_log([make_record("second")])

    assert {file.name[-10:-6] for file in tmp_path.iterdir()} == {"aaaa", "bbbb"}


@posix_only
def test_a_deleted_file_is_not_written(tmp_path: Path, make_record: MakeRecord) -> None:
    """When somebody deletes the file under its writer, the next batch begins another: nobody would see it there."""
    kept = sink(tmp_path)
    kept.store_log([make_record("gone")])
    for file in tmp_path.iterdir():
        file.unlink()
    kept.store_log([make_record("seen")])

    assert ids(tmp_path) == ["seen"]


def test_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: MakeRecord) -> None:
    """With fsync every batch is synced, and the directory for every new file; without it nothing is."""
    synced: list[int] = []
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        synced.append(descriptor)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    quick, safe = sink(tmp_path), sink(tmp_path, fsync=True)
    for kept in (quick, safe):
        kept.store_log([make_record()])
        kept.store_log([make_record()])

    assert len(synced) == (2 if sys.platform == "win32" else 3)


def test_a_failed_sync_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: MakeRecord) -> None:
    """If the disk does not confirm, the hook raises; the lines are whole and the next batch follows."""
    kept = sink(tmp_path, fsync=True)

    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="Input"):
            kept.store_log([make_record("one")])
    kept.store_log([make_record("two")])

    assert ids(tmp_path) == ["one", "two"]


def test_the_file_closes_with_its_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: MakeRecord
) -> None:
    """A plugin that nobody holds any more keeps no file open, without any close."""
    opened: list[int] = []

    def create(path: Path) -> int:
        opened.append(files.create(path))
        return opened[-1]

    monkeypatch.setattr("nexus_connector_jsonl._writer.create", create)
    kept = sink(tmp_path)
    kept.store_log([make_record()])
    os.fstat(opened[0])

    del kept
    gc.collect()

    with pytest.raises(OSError, match="descriptor"):
        os.fstat(opened[0])
