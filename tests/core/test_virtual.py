"""Virtual time: waits move a clock, gathered tasks take turns in its order, and one seed gives one trace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import pytest

from nexus_connector.errors import PluginError
from nexus_connector.io.drive import drive
from nexus_connector.io.virtual import EPOCH, VirtualIo

Task = Callable[[], Awaitable[object]]
Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=[drive, asyncio.run], ids=["driven", "awaited"])
def run(request: pytest.FixtureRequest) -> Run:
    """Each way in which a coroutine of the pipeline is run."""
    chosen: Run = request.param
    return chosen


class Diary:
    """Tasks that write down when they did what."""

    def __init__(self, seed: int = 0) -> None:
        self.io = VirtualIo(seed)
        self.lines: list[tuple[float, str]] = []

    def write(self, text: str) -> None:
        """Note something that happens now."""
        self.lines.append((round(self.io.now(), 6), text))

    async def worker(self, name: str, *waits: float) -> str:
        """Wait, note, wait, note."""
        for number, wait in enumerate(waits):
            await self.io.sleep(wait)
            self.write(f"{name}{number}")
        return name

    def gather(self, tasks: Sequence[Task], limit: int) -> Coroutine[Any, Any, list[Any]]:
        """Gather tasks of any kind."""
        return self.io.gather(tasks, limit)

    def task(self, name: str, *waits: float) -> Task:
        """Return a worker that has not begun."""
        return partial(self.worker, name, *waits)


def test_a_wait_moves_the_clock_and_takes_no_time(run: Run) -> None:
    """A day passes at once; the time of day goes with it, negative waits do not turn it back."""
    io = VirtualIo()

    async def wait() -> None:
        await io.sleep(86_400)
        await io.sleep(-5)

    run(wait())
    assert io.now() == io.elapsed_seconds == 86_400
    assert (io.wall() - EPOCH).days == 1
    assert io.wall().tzinfo is not None


def test_the_test_moves_the_clock() -> None:
    """``advance`` lets time pass outside of any call."""
    io = VirtualIo()
    io.advance(2.5)
    io.advance(-1)
    assert io.now() == 2.5


def test_gathered_tasks_take_turns_in_virtual_time(run: Run) -> None:
    """Whoever is due first goes on, however the tasks were listed; the whole takes as long as the longest."""
    diary = Diary()
    results = run(diary.gather([diary.task("a", 3, 3), diary.task("b", 1, 1, 1, 1), diary.task("c", 2)], 3))
    assert results == ["a", "b", "c"]
    assert diary.lines == [(1, "b0"), (2, "b1"), (2, "c0"), (3, "a0"), (3, "b2"), (4, "b3"), (6, "a1")]
    assert diary.io.now() == 6


def test_tasks_due_together_go_on_in_their_order() -> None:
    """A tie is no matter of chance."""
    diary = Diary()
    drive(diary.gather([diary.task(name, 1, 1) for name in "abc"], 3))
    assert [text for _, text in diary.lines] == ["a0", "b0", "c0", "a1", "b1", "c1"]


def test_no_more_tasks_than_the_limit_are_under_way(run: Run) -> None:
    """The next task begins at the moment when another ends."""
    diary = Diary()
    run(diary.gather([diary.task("a", 2), diary.task("b", 5), diary.task("c", 1), diary.task("d", 1)], 2))
    assert diary.lines == [(2, "a0"), (3, "c0"), (4, "d0"), (5, "b0")]


def test_a_limit_of_one_is_one_after_another() -> None:
    """Less than one is taken for one."""
    for limit in (1, 0):
        diary = Diary()
        drive(diary.gather([diary.task("a", 2), diary.task("b", 1)], limit))
        assert diary.lines == [(2, "a0"), (3, "b0")]


def test_a_nested_gather_keeps_the_order_of_time(run: Run) -> None:
    """What is gathered inside a gathered task does not run ahead of that task's siblings."""
    diary = Diary()

    async def outer() -> object:
        return await diary.gather([diary.task("inner", 10), diary.task("other", 20)], 2)

    results = run(diary.gather([outer, diary.task("sibling", 5, 10)], 2))
    assert diary.lines == [(5, "sibling0"), (10, "inner0"), (15, "sibling1"), (20, "other0")]
    assert results == [["inner", "other"], "sibling"]


def test_nested_gathers_at_three_levels() -> None:
    """However deep: order of time."""
    diary = Diary()

    async def nest(depth: int, name: str) -> object:
        tasks = [diary.task(name, depth, 4)]
        if depth > 1:
            tasks.append(partial(nest, depth - 1, name + "'"))
        return await diary.gather(tasks, 4)

    drive(diary.gather([partial(nest, 3, "a"), diary.task("b", 2.5, 2.5)], 4))
    assert [at for at, _ in diary.lines] == sorted(at for at, _ in diary.lines)
    assert diary.lines[:4] == [(1, "a''0"), (2, "a'0"), (2.5, "b0"), (3, "a0")]
    assert diary.io.now() == 7


def test_errors_come_in_the_place_of_results() -> None:
    """One that fails does not stop the others."""
    diary = Diary()

    async def fail() -> None:
        await diary.io.sleep(1)
        raise LookupError

    first, second, third = drive(diary.gather([diary.task("a", 2), fail, diary.task("c", 3)], 3))
    assert (first, third) == ("a", "c")
    assert isinstance(second, LookupError)


def test_cancelling_a_gather_ends_every_task() -> None:
    """What is no Exception passes, and siblings are closed there and then, begun or not."""
    diary = Diary()
    ended: list[float] = []

    async def sibling() -> None:
        try:
            await diary.io.sleep(10)
        finally:
            ended.append(diary.io.now())

    async def interrupt() -> None:
        await diary.io.sleep(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        drive(diary.gather([sibling, interrupt, diary.task("waiting", 0)], 2))
    assert caught.tb is not None  # its frames still hold the siblings: nothing but the gather can have ended them
    assert ended == [1]
    with pytest.raises(KeyboardInterrupt):
        drive(diary.gather([partial(interrupt), sibling], 1))
    drive(diary.io.sleep(1))
    assert diary.io.now() == 3


def chatter(seed: int) -> tuple[list[tuple[float, str]], list[float]]:
    """Run tasks whose waits are drawn by lot, with nested gathers and a lock, and return what happened."""
    diary = Diary(seed)
    io = diary.io

    async def talk(name: str, depth: int) -> None:
        for turn in range(3):
            await io.sleep(io.random.random())
            async with io.lock("floor", deadline=1e9):
                diary.write(f"{name}{turn}")
                await io.sleep(io.random.random() / 4)
        if depth:
            await io.gather([partial(talk, f"{name}>{child}", depth - 1) for child in "xyz"], 2)

    drive(io.gather([partial(talk, name, 2) for name in "abcd"], 3))
    return diary.lines, [io.now(), io.random.random()]


def test_one_seed_one_trace() -> None:
    """The same seed gives the same trace, another one another."""
    assert chatter(7) == chatter(7)
    assert chatter(7) != chatter(8)
    assert len(chatter(7)[0]) == 4 * 3 * (1 + 3 + 9)


def test_the_trace_is_in_the_order_of_time() -> None:
    """Nothing happens before what was written down earlier."""
    moments = [at for at, _ in chatter(3)[0]]
    assert moments == sorted(moments)


def test_a_lock_is_held_by_one(run: Run) -> None:
    """Siblings wait for it in virtual time; another key is another lock."""
    diary = Diary()

    async def hold(name: str, key: str, seconds: float) -> None:
        async with diary.io.lock(key, deadline=100):
            diary.write(f"{name} in")
            await diary.io.sleep(seconds)
            diary.write(f"{name} out")

    run(diary.gather([partial(hold, "a", "k", 2), partial(hold, "b", "k", 1), partial(hold, "c", "other", 1)], 3))
    assert [text for _, text in diary.lines] == ["a in", "c in", "c out", "a out", "b in", "b out"]
    assert diary.io.now() == pytest.approx(3, abs=0.01)


def test_a_lock_not_free_in_time_is_a_timeout() -> None:
    """The wait ends by its deadline, to the millisecond, and the lock stays with its holder."""
    diary = Diary()

    async def hold() -> None:
        async with diary.io.lock("k", deadline=100):
            await diary.io.sleep(10)

    async def want() -> float:
        with pytest.raises(TimeoutError):
            async with diary.io.lock("k", deadline=4):
                pytest.fail("two held it")
        return diary.io.now()

    assert drive(diary.gather([hold, want], 2)) == [None, 4]


def test_a_lock_wanted_twice_by_one_task_is_a_timeout() -> None:
    """Nobody could ever free it: it fails at once instead of for ever."""
    io = VirtualIo()

    async def twice() -> None:
        async with io.lock("k", deadline=1e9), io.lock("k", deadline=1e9):
            pytest.fail("held twice")

    with pytest.raises(TimeoutError):
        drive(twice())
    assert io.now() == 0


def test_a_lock_is_free_after_an_error() -> None:
    """Whatever ends its body."""
    io = VirtualIo()

    async def hold(error: BaseException | None) -> str:
        async with io.lock("k", deadline=0):
            if error is not None:
                raise error
        return "held"

    for error in (LookupError(), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            drive(hold(error))
    assert drive(hold(None)) == "held"


def test_gathered_tasks_wait_only_through_io(run: Run) -> None:
    """A task that waits on asyncio gets the same error as under the sync face, its siblings go on."""
    diary = Diary()

    async def stray() -> None:
        await asyncio.sleep(0)

    async def stubborn() -> None:
        for _ in range(2):
            try:
                await asyncio.sleep(0)
            except PluginError:
                diary.write("swallowed")

    first, second, third = run(diary.gather([stray, stubborn, diary.task("a", 1)], 3))
    assert isinstance(first, PluginError)
    assert isinstance(second, PluginError)
    assert "stray" in first.message
    assert __file__ in first.message
    assert third == "a"
    assert diary.lines == [(0, "swallowed"), (1, "a0")]


def test_functions_and_stores_run_at_once() -> None:
    """``run`` calls in place; what it raises passes."""
    io = VirtualIo()
    assert drive(io.run(lambda: 7)) == 7
    with pytest.raises(ValueError, match="not found"):
        drive(io.run(lambda: "".index("x")))
