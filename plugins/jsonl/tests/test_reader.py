from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus_connector import IntegrationLog
from nexus_connector_jsonl import read_records
from nexus_connector_jsonl._lines import encode

MakeRecord = Callable[..., IntegrationLog]
Write = Callable[[int, Iterable[IntegrationLog]], Path]

NOON = datetime(2025, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the file of the process of this number."""

    def make(process: int, records: Iterable[IntegrationLog]) -> Path:
        path = tmp_path / f"records-20251120T120000Z-{process}-abcd.jsonl"
        path.write_bytes(encode(records))
        return path

    return make


def ids(records: Iterable[dict[str, object]]) -> list[object]:
    """Return which records these are."""
    return [record["id"] for record in records]


def test_files_are_merged_by_time(tmp_path: Path, write: Write, make_record: MakeRecord) -> None:
    """Records of several processes come in the order of time, those of one moment in the order of files."""
    write(1, [make_record("a0"), make_record("a2", second=2), make_record("a4", second=4)])
    write(2, [make_record("b1", second=1), make_record("b2", second=2), make_record("b9", second=9)])
    write(3, [make_record("c3", second=3)])

    assert ids(read_records(tmp_path)) == ["a0", "b1", "a2", "b2", "c3", "a4", "b9"]


def test_a_file_keeps_its_order(tmp_path: Path, write: Write, make_record: MakeRecord) -> None:
    """A long call that stands behind shorter ones stays there, and holds up no other file."""
    write(1, [make_record("short", second=5), make_record("long", second=0), make_record("next", second=7)])
    write(2, [make_record("other", second=6)])

    assert ids(read_records(tmp_path)) == ["short", "long", "other", "next"]


def test_one_call_is_sorted(tmp_path: Path, write: Write, make_record: MakeRecord) -> None:
    """The records of one call come strictly by their beginning, whatever file they are in."""
    write(1, [make_record("try", second=1, call_id="c"), make_record("call", call_id="c")])
    write(2, [make_record("other", call_id="d"), make_record("again", second=0.5, call_id="c")])

    assert ids(read_records(tmp_path, call_id="c")) == ["call", "again", "try"]


def test_a_mention_is_not_a_match(tmp_path: Path, write: Write, make_record: MakeRecord) -> None:
    """A record that only names the call somewhere, as in a body, is none of it."""
    write(
        1, [make_record("child", call_id="d", request_data="c1"), make_record("mine", call_id="c1", request_data="x")]
    )

    assert ids(read_records(tmp_path, call_id="c1")) == ["mine"]


def test_the_parts_of_a_call_are_found(tmp_path: Path, write: Write, make_record: MakeRecord) -> None:
    """The records of a flow are those of its steps: a part is found by the id of its parent."""
    write(1, [make_record("step", call_id="d", parent_id="c1"), make_record("other", call_id="e", parent_id="c2")])

    assert ids(read_records(tmp_path, call_id="c1")) == ["step"]


@pytest.mark.parametrize("call_id", ["01KAGW", "a b", 'quo"te', "back\\slash", "Grüße", "line\nbreak", "a/b", ""])
def test_any_call_id_is_found(tmp_path: Path, write: Write, make_record: MakeRecord, call_id: str) -> None:
    """Ids that callers chose are found however they are written in JSON, also by tools that rewrote the file."""
    path = write(1, [make_record("mine", call_id=call_id), make_record("other", call_id="x")])
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    (tmp_path / "records-20251120T120000Z-2-abcd.jsonl").write_text(
        "".join(json.dumps(line, ensure_ascii=False).replace("/", "\\/") + "\n" for line in lines), encoding="utf-8"
    )

    assert ids(read_records(tmp_path, call_id=call_id)) == ["mine", "mine"]


def test_filters(tmp_path: Path, write: Write, make_record: MakeRecord) -> None:
    """Only the service asked for, only from the moment asked for; a moment without zone is UTC."""
    write(1, [make_record("a"), make_record("b", second=1, service_name="erp"), make_record("c", second=2)])

    assert ids(read_records(tmp_path, service="crm")) == ["a", "c"]
    assert ids(read_records(tmp_path, since=NOON + timedelta(seconds=1))) == ["b", "c"]
    assert ids(read_records(tmp_path, since=(NOON + timedelta(seconds=1)).replace(tzinfo=None))) == ["b", "c"]
    east = (NOON + timedelta(seconds=2)).astimezone(timezone(timedelta(hours=2)))
    assert ids(read_records(tmp_path, service="crm", since=east)) == ["c"]
    assert ids(read_records(tmp_path, call_id=make_record().call_id, service="erp")) == ["b"]


def test_what_is_no_record_is_passed_over(tmp_path: Path, write: Write, make_record: MakeRecord) -> None:
    """Torn, foreign and undecodable lines are counted once each; empty ones are nothing; a whole last line counts."""
    path = write(1, [make_record("one"), make_record("two", second=1)])
    first, second = path.read_bytes().splitlines()
    bad = [first[:40], b"[1]", b'"text"', b"{}", b'{"created_at":5}', b'{"created_at":"noon"}', b"\xff\xfe", b"\0" * 9]
    deep = b"[" * 200_000
    path.write_bytes(b"\n".join([*bad, deep, b"", b"  ", first, b"", second]))

    reader = read_records(tmp_path)
    assert ids(reader) == ["one", "two"]
    assert reader.torn == len(bad) + 1


def test_torn_lines_are_counted_in_a_search(tmp_path: Path, write: Write, make_record: MakeRecord) -> None:
    """A search tells of torn lines too, whether or not they name what is searched."""
    path = write(1, [make_record("mine", call_id="c1"), make_record("other", call_id="d1")])
    mine, other = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([mine, other, b"", mine[:-20], other[:-20], other]))

    reader = read_records(tmp_path, call_id="c1")
    assert ids(reader) == ["mine"]
    assert reader.torn == 2


def test_files_of_nothing(tmp_path: Path, write: Write, make_record: MakeRecord) -> None:
    """Empty files, files of torn lines only and files of other names disturb nothing."""
    write(1, [])
    write(2, []).write_bytes(b"torn")
    (tmp_path / "other.jsonl").write_bytes(b"not ours")
    write(3, [make_record("one")])

    reader = read_records(tmp_path)
    assert ids(reader) == ["one"]
    assert reader.torn == 1


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    """A mistyped path is told, not taken for an empty one."""
    with pytest.raises(FileNotFoundError):
        next(read_records(tmp_path / "nowhere"))


def test_a_file_deleted_meanwhile_is_skipped(tmp_path: Path, write: Write, make_record: MakeRecord) -> None:
    """A file that is deleted while others are read is left out without an error."""
    write(1, [make_record("one"), make_record("two", second=1)])
    late = write(2, [make_record("late", second=9)])

    reader = read_records(tmp_path)
    assert next(reader)["id"] == "one"
    late.unlink()
    assert ids(reader) == ["two"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files")
def test_only_files_that_overlap_are_open(tmp_path: Path, write: Write, make_record: MakeRecord) -> None:
    """A directory of many files, one after the other in time, is read with one of them open at a time."""
    for process in range(200):
        write(process, [make_record(f"{process}-{index}", second=process * 10 + index) for index in range(3)])
    before = len(list(Path("/proc/self/fd").iterdir()))

    most = max(len(list(Path("/proc/self/fd").iterdir())) for _ in read_records(tmp_path))

    assert most - before <= 2


def test_a_reader_left_in_the_middle_closes_its_files(tmp_path: Path, write: Write, make_record: MakeRecord) -> None:
    """Who takes only the first records leaves no file open (an unclosed one would warn, and warnings are errors)."""
    write(1, [make_record(str(index), second=index) for index in range(100)])
    reader = read_records(tmp_path)
    next(reader)
    del reader


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(0, 10_000))
def test_any_cut_tears_at_most_one_line(tmp_path: Path, make_record: MakeRecord, cut: int) -> None:
    """Wherever a file ends, all records before that place are there and at most one line is torn."""
    path = tmp_path / "records-20251120T120000Z-1-abcd.jsonl"
    content = encode([make_record(str(index), second=index) for index in range(10)])[:cut]
    path.write_bytes(content)

    reader = read_records(tmp_path)
    found = ids(reader)

    whole = content.count(b"\n")
    assert found[:whole] == [str(index) for index in range(whole)]
    assert len(found) - whole + reader.torn == (0 if content.endswith(b"\n") or not content else 1)
