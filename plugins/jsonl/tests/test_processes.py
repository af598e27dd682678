from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_connector_jsonl import read_records

RunPython = Callable[..., str]

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="fork, SIGKILL, file locks")


@posix_only
def test_a_fork_has_its_own_file(tmp_path: Path, run_python: RunPython) -> None:
    """A forked child never writes to its parent's file, and the parent goes on in its own."""
    directory = tmp_path / "records"
    run_python(
        """
kept = sink()
kept.store_log([record("parent")])
child = os.fork()
if child == 0:
    kept.store_log([record("child")])
    kept.store_log([record("child")])
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
kept.store_log([record("parent")])
""",
        directory,
    )

    written = [[json.loads(line)["id"] for line in file.read_bytes().splitlines()] for file in directory.iterdir()]
    assert sorted(written) == [["child", "child"], ["parent", "parent"]]
    assert all(file.name.count(".") == 1 for file in directory.iterdir()), "each counts its files from one"


@posix_only
def test_a_forks_copy_does_not_release_the_parents_file(tmp_path: Path, run_python: RunPython) -> None:
    """When a child lets go of what it inherited, the parent's file stays its parent's."""
    printed = run_python(
        """
kept = sink()
kept.store_log([record("parent")])
(mine,) = os.listdir(directory)
with open(os.path.join(directory, mine), "ab") as file:
    file.write(b'{"half')
child = os.fork()
if child == 0:
    kept.store_log([record("child")])
    sink(keep_files=1).store_log([record("other")])
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
with open(os.path.join(directory, mine), "rb") as file:
    print(file.read().endswith(b"half"))
""",
        tmp_path / "records",
    )

    assert printed == "True\n"


def test_batches_at_exit_are_written(tmp_path: Path, run_python: RunPython) -> None:
    """What the core delivers while the interpreter ends still goes to the file."""
    directory = tmp_path / "records"
    run_python(
        """
kept = sink()
atexit.register(lambda: kept.store_log([record("at exit")]))
kept.store_log([record("before")])
""",
        directory,
    )

    assert len(list(directory.iterdir())) == 1
    assert [line["id"] for line in read_records(directory)] == ["before", "at exit"]


@posix_only
def test_a_kill_in_a_write_tears_one_line(tmp_path: Path, prelude: str, run_python: RunPython) -> None:
    """A process that dies in the middle of a write leaves one torn line; the next process closes it."""
    directory = tmp_path / "records"
    script = """
kept = sink()
kept.store_log([record("whole")])
write = os.write
def half(descriptor, data):
    write(descriptor, data[:len(data) * 3 // 4])
    os.kill(os.getpid(), signal.SIGKILL)
os.write = half
kept.store_log([record("also whole"), record("torn")])
"""
    died = subprocess.run([sys.executable, "-c", prelude + script, str(directory)], check=False, timeout=60)
    assert died.returncode == -9
    (file,) = directory.iterdir()
    assert not file.read_bytes().endswith(b"\n")

    run_python("sink().store_log([record('next')])", directory)

    assert file.read_bytes().endswith(b"\n")
    reader = read_records(directory)
    assert [line["id"] for line in reader] == ["whole", "also whole", "next"]
    assert reader.torn == 1


@posix_only
def test_killed_processes_lose_no_whole_line(tmp_path: Path, prelude: str, run_python: RunPython) -> None:
    """Of several processes killed while they write, every ended line is a record, and at most one each is torn."""
    directory = tmp_path / "records"
    script = """
kept = sink(max_file_bytes=100_000)
for batch in range(1_000_000):
    kept.store_log([record(f"{os.getpid()}-{batch * 32 + index}", "x" * 500) for index in range(32)])
    if batch % 10 == 9:
        print(batch * 32 + 31, flush=True)
"""
    command = [sys.executable, "-c", prelude + script, str(directory)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    told: dict[int, int] = {}
    for rounds, worker in enumerate(workers, start=1):
        assert worker.stdout is not None
        for _ in range(rounds * 3):
            told[worker.pid] = int(worker.stdout.readline())
        worker.kill()
        rest = worker.communicate()[0].split()
        told[worker.pid] = int(rest[-1]) if rest else told[worker.pid]

    run_python("sink().store_log([record('next')])", directory)

    found: dict[str, list[int]] = {}
    torn = 0
    for file in directory.iterdir():
        content = file.read_bytes()
        if not content:  # killed between a file and its first batch
            continue
        assert content.endswith(b"\n")
        *lines, last = content.splitlines()
        try:
            json.loads(last)
            lines.append(last)
        except ValueError:
            torn += 1
        for line in lines:
            pid, _, number = json.loads(line)["id"].partition("-")
            found.setdefault(pid, []).append(int(number or 0))
    assert torn <= len(workers)
    for pid, last_told in told.items():
        assert sorted(found[str(pid)]) == list(range(len(found[str(pid)])))
        assert len(found[str(pid)]) > last_told


@posix_only
def test_a_disk_that_is_really_full(tmp_path: Path, run_python: RunPython) -> None:
    """When the system itself cuts a write short and refuses the rest, whole lines stay, the next batch is clean."""
    directory = tmp_path / "records"
    run_python(
        """
import resource
kept = sink()
kept.store_log([record("before")])
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
try:
    kept.store_log([record(f"cut-{index}") for index in range(10)])
except OSError as error:
    assert error.errno == errno.EFBIG
else:
    raise AssertionError
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
kept.store_log([record("after")])
""",
        directory,
    )

    reader = read_records(directory)
    found = [line["id"] for line in reader]
    assert found[0] == "before"
    assert found[-1] == "after"
    assert found[1:-1] == [f"cut-{index}" for index in range(len(found) - 2)]
    assert 0 < len(found) - 2 < 10
    assert reader.torn == 0
