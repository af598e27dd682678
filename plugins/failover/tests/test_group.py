"""What the calls of a group share: one trial at a time, and moves that are told once."""

from __future__ import annotations

import sys
import threading
from functools import partial

import pytest

from nexus_connector_failover._group import Course, Group, Move
from nexus_connector_failover._health import Choice, Health


def new_group() -> Group:
    """Two regions with default options."""
    return Group(Health.begin(2, 5, 60.0))


@pytest.fixture
def group() -> Group:
    """Two regions, both in use."""
    return new_group()


def choose(group: Group, course: Course, now: float = 0.0) -> Choice:
    """Choose for a call that may go anywhere."""
    choice = group.choose(course, now, 1e9, refused=(), may_try=True)
    assert choice is not None
    return choice


def fail(group: Group, course: Course, choice: Choice, now: float = 0.0) -> None:
    """Let an attempt fail."""
    course.failed = [*(index for index in course.failed if index != choice.index), choice.index]
    course.reason = "status 500"
    group.learn(partial(Health.failed, choice=choice, now=now))


def attempt(group: Group, now: float = 0.0, *, fails: bool = False, course: Course | None = None) -> Move | None:
    """Make one attempt; return the move that is to be told."""
    course = course or Course()
    choice = choose(group, course, now)
    move = group.depart(course, choice)
    if fails:
        fail(group, course, choice, now)
    else:
        course.reason = ""
        group.learn(partial(Health.answered, choice=choice))
    return move


def leave(group: Group) -> None:
    """Let the first region fail five times."""
    for _ in range(5):
        assert attempt(group, fails=True) is None


def test_the_ordinary_way_is_no_move(group: Group) -> None:
    """Where all go to the first region, nothing is told."""
    assert [attempt(group) for _ in range(3)] == [None] * 3


def test_a_move_of_all_is_told_once(group: Group) -> None:
    """The first call that goes elsewhere is told with the reason, the following ones are not."""
    leave(group)
    moves = [attempt(group) for _ in range(3)]
    assert moves == [Move(old=0, new=1, reason="5 failures in a row"), None, None]


def test_the_way_back_is_told_when_it_is_tried(group: Group) -> None:
    """The trial is told; if it is answered the others just follow."""
    leave(group)
    attempt(group)
    moves = [attempt(group, 60.0) for _ in range(3)]
    assert moves == [Move(old=1, new=0, reason="it is tried again"), None, None]


def test_a_trial_that_fails_is_not_left_untold(group: Group) -> None:
    """Who hears that the first region was tried hears too that the second one serves on."""
    leave(group)
    attempt(group)
    moves = [attempt(group, 60.0, fails=True), attempt(group, 60.0), attempt(group, 60.0)]
    assert moves == [
        Move(old=1, new=0, reason="it is tried again"),
        Move(old=0, new=1, reason="its trial failed"),
        None,
    ]


def test_the_others_do_not_wait_for_a_trial(group: Group) -> None:
    """What goes on in the second region during a trial is told, and so is the return of all."""
    leave(group)
    attempt(group)
    trial = Course()
    choice = choose(group, trial, 60.0)
    assert group.depart(trial, choice) == Move(old=1, new=0, reason="it is tried again")
    assert [attempt(group, 60.0), attempt(group, 60.0)] == [Move(old=0, new=1, reason="5 failures in a row"), None]
    group.learn(partial(Health.answered, choice=choice))
    assert [attempt(group, 61.0), attempt(group, 61.0)] == [Move(old=1, new=0, reason="it is preferred"), None]


def test_a_call_that_moves_alone_is_told_alone(group: Group) -> None:
    """A single failure takes its own call elsewhere; the others stay, and are told of nothing."""
    course = Course()
    assert attempt(group, fails=True, course=course) is None
    assert attempt(group, course=course) == Move(old=0, new=1, reason="status 500")
    assert attempt(group) is None


def test_a_call_that_moves_with_all_is_told_for_all(group: Group) -> None:
    """The call whose failure leaves the region tells of the move; nobody else has to."""
    for _ in range(4):
        attempt(group, fails=True)
    course = Course()
    attempt(group, fails=True, course=course)
    assert attempt(group, course=course) == Move(old=0, new=1, reason="status 500")
    assert attempt(group) is None


def test_a_call_that_follows_the_others_says_why(group: Group) -> None:
    """Put off in a region that others left meanwhile, it does not take its own answer for the reason."""
    course = Course()
    group.depart(course, choose(group, course))
    leave(group)
    assert attempt(group, course=course) == Move(old=0, new=1, reason="5 failures in a row")


def test_a_straggler_is_no_move(group: Group) -> None:
    """What was chosen before the others moved and is sent after them is not told as a way back."""
    course = Course()
    choice = choose(group, course)
    leave(group)
    attempt(group)
    assert group.depart(course, choice) is None
    assert attempt(group) is None


def test_a_further_attempt_is_a_move_whatever_happened_meanwhile(group: Group) -> None:
    """A call that leaves a region on its own is told, even if its choice has become stale before it is sent."""
    course = Course()
    attempt(group, fails=True, course=course)
    choice = choose(group, course)
    for _ in range(5):
        group.learn(lambda health: health.failed(health.stay(1), 0.0))
    assert group.depart(course, choice) == Move(old=0, new=1, reason="status 500")


def test_a_further_attempt_may_be_the_trial(group: Group) -> None:
    """Told by the call that tries, the return is not told again by those that follow."""
    leave(group)
    course = Course()
    attempt(group, course=course)
    moves = [attempt(group, 60.0, course=course), attempt(group, 60.0)]
    assert moves == [Move(old=1, new=0, reason="it is tried again"), None]


def test_a_bound_call_stays(group: Group) -> None:
    """Bound to a region, it goes nowhere else, left or not, and does not draw the others along."""
    leave(group)
    attempt(group)
    course = Course(last=0, bound=0)
    assert choose(group, course) == Choice(0, None)
    assert group.depart(course, choose(group, course)) is None
    assert attempt(group) is None
    assert group.choose(course, 0.0, 1e9, refused={0}, may_try=True) is None


def test_a_choice_that_is_not_sent_is_no_move(group: Group) -> None:
    """Only what departs is told: a region that was chosen and refused was never gone to."""
    leave(group)
    attempt(group)
    trial = choose(group, Course(), 60.0)
    group.learn(partial(Health.shut, choice=trial, now=60.0, seconds=5.0))
    assert attempt(group, 60.0) is None


def test_one_of_many_threads_tries() -> None:
    """24 threads that find a region due at once: one of them tries it, 50 times over."""
    for _ in range(50):
        group, tries = new_group(), list[bool]()
        leave(group)
        together = threading.Barrier(24)

        def choose_one(group: Group = group, tries: list[bool] = tries, together: threading.Barrier = together) -> None:
            together.wait()
            tries.append(choose(group, Course(), 60.0).is_trial)

        threads = [threading.Thread(target=choose_one) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(tries) == [False] * 23 + [True]


def test_no_failure_is_lost_between_threads() -> None:
    """Results that arrive at the same time all count: 8 threads with 500 failures each reach a threshold of 4,000."""
    group = Group(Health.begin(2, 4000, 60.0))
    choice = choose(group, Course())
    together = threading.Barrier(8)

    def fail_often() -> None:
        together.wait()
        for _ in range(500):
            group.learn(partial(Health.failed, choice=choice, now=0.0))

    threads = [threading.Thread(target=fail_often) for _ in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert choose(group, Course()).index == 1
