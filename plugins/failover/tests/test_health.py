"""The decision: which region is next, when one is left, and when it is in use again."""

from __future__ import annotations

import attrs
import pytest

from nexus_connector_failover._health import Choice, Health

NEVER = 1e9


def choose(health: Health, now: float = 0.0, *, may_try: bool = True) -> Choice:
    """Where the first attempt of a fresh call goes."""
    choice = health.choose(now, failed=(), refused=(), may_try=may_try)
    assert choice is not None
    return choice


def left(count: int = 2, *, now: float = 0.0, index: int = 0) -> Health:
    """Two regions with default options, one of which has failed five times."""
    health = Health.begin(count, 5, 60.0)
    for _ in range(5):
        health = health.failed(health.stay(index), now)
    return health


def tried(health: Health, now: float, until: float = NEVER) -> tuple[Health, Choice]:
    """Begin a trial."""
    choice = choose(health, now)
    assert choice.is_trial
    return health.trying(choice, until), choice


# Leaving


def test_the_first_in_order_is_used() -> None:
    """As long as all are in use, everything goes to the first."""
    assert choose(Health.begin(3, 5, 60.0)) == Choice(0, 0)


@pytest.mark.parametrize("threshold", [1, 2, 5])
def test_failures_in_a_row_leave_a_region(threshold: int) -> None:
    """At the threshold, not before it, attempts go to the second; the reason says how many it took."""
    health = Health.begin(2, threshold, 60.0)
    for _ in range(threshold):
        assert choose(health).index == 0
        health = health.failed(choose(health), 0.0)
    assert choose(health).index == 1
    assert health.places[0].reason == f"{threshold} failures in a row"


def test_an_answer_ends_the_row() -> None:
    """Four failures, an answer and four failures leave nothing."""
    health = Health.begin(2, 5, 60.0)
    for _ in range(2):
        for _ in range(4):
            health = health.failed(choose(health), 0.0)
        health = health.answered(choose(health))
    assert health == Health.begin(2, 5, 60.0)


def test_an_answer_of_a_region_in_use_costs_nothing() -> None:
    """The ordinary case makes no new value."""
    health = Health.begin(2, 5, 60.0)
    assert health.answered(choose(health)) is health


def test_an_open_circuit_leaves_a_region_for_its_time() -> None:
    """Not `return_seconds` counts then, but what the circuit said."""
    health = Health.begin(2, 5, 60.0)
    health = health.shut(choose(health), 10.0, 3.0)
    assert choose(health, 12.9).index == 1
    assert choose(health, 13.0) == Choice(0, 2, is_trial=True)
    assert health.places[0].reason == "circuit open"


def test_a_region_that_asks_for_patience_is_left_at_once() -> None:
    """It need not fail five times: it says itself how long it is not to be used."""
    health = Health.begin(2, 5, 60.0)
    health = health.rest(choose(health), 10.0, 7.0)
    assert health.places[0].reason == "it asked for patience"
    assert (choose(health, 16.9).index, choose(health, 17.0).index) == (1, 0)
    assert health.has_other([0])
    assert not health.has_other([0, 1])
    assert not health.rest(choose(health), 10.0, 7.0).has_other([])


# Trying again


def test_a_region_is_left_alone_for_its_time() -> None:
    """59.999 s after it was left nothing goes there, at 60 s one trial."""
    health = left(now=100.0)
    assert choose(health, 159.999).index == 1
    assert choose(health, 160.0).is_trial


def test_what_cannot_be_made_again_tries_later() -> None:
    """A call that is not safe waits twice as long before it is the one that tries."""
    health = left(now=100.0)
    assert choose(health, 219.999, may_try=False).index == 1
    assert choose(health, 220.0, may_try=False) == Choice(0, 2, is_trial=True)


def test_one_at_a_time_tries() -> None:
    """While a trial is under way all others go on to the second region."""
    health, _ = tried(left(), 60.0)
    assert [choose(health, now).index for now in (60.0, 61.0, 1e6)] == [1, 1, 1]


def test_a_trial_that_never_ends_is_given_to_another() -> None:
    """The lease of a trial ends with its call; what that comes to afterwards says nothing."""
    health, first = tried(left(), 60.0, until=90.0)
    assert choose(health, 89.999).index == 1
    health, second = tried(health, 90.0)
    for late in (health.failed(first, 95.0), health.answered(first), health.learned_nothing(first)):
        assert late is health
    assert choose(health.answered(second), 95.0).index == 0


def test_the_lease_counts_for_unsafe_calls_as_it_is() -> None:
    """Who waits twice as long for a region does not wait twice as long for a lease."""
    health, _ = tried(left(), 60.0, until=130.0)
    assert choose(health, 129.999, may_try=False).index == 1
    assert choose(health, 130.0, may_try=False).is_trial


def test_a_trial_that_is_answered_brings_a_region_back() -> None:
    """The first is in use again for everybody, with a fresh count."""
    health, choice = tried(left(), 60.0)
    health = health.answered(choice)
    assert choose(health, 60.0, may_try=False) == Choice(0, health.places[0].generation)
    assert attrs.evolve(health.places[0], generation=0) == Health.begin(1, 5, 60.0).places[0]


def test_a_trial_that_fails_leaves_it_for_as_long_again() -> None:
    """A single failure is enough then."""
    health, choice = tried(left(), 60.0)
    health = health.failed(choice, 70.0)
    assert choose(health, 129.999).index == 1
    assert choose(health, 130.0).is_trial
    assert health.places[0].reason == "its trial failed"


def test_a_trial_that_says_nothing_is_free_for_the_next() -> None:
    """Cancelled or refused, it gives the trial back at once."""
    health, choice = tried(left(), 60.0)
    health = health.learned_nothing(choice)
    assert choose(health, 60.0).is_trial


def test_only_a_trial_can_be_given_back() -> None:
    """What was no trial does not end that of another."""
    ordinary = choose(left())
    health, _ = tried(left(), 60.0)
    assert health.learned_nothing(ordinary) is health


# Several regions


def test_the_next_in_order_takes_over() -> None:
    """With the first two left, the third serves; each comes back in its own time, the more preferred one first."""
    health = left(3, now=0.0)
    for _ in range(5):
        health = health.failed(health.stay(1), 30.0)
    assert choose(health, 59.0).index == 2
    assert [choose(health, now).index for now in (60.0, 90.0)] == [0, 0]
    health, _ = tried(health, 60.0)
    assert [choose(health, now).index for now in (89.0, 90.0)] == [2, 1]


def test_a_call_avoids_where_it_failed() -> None:
    """A second attempt goes elsewhere, though the first region is still in use; a further one goes round."""
    health = Health.begin(3, 5, 60.0)
    seen: list[int] = []
    failed: list[int] = []
    for _ in range(7):
        choice = health.choose(0.0, failed=failed, refused=(), may_try=True)
        assert choice is not None
        failed = [*(index for index in failed if index != choice.index), choice.index]
        seen.append(choice.index)
    assert seen == [0, 1, 2, 0, 1, 2, 0]


def test_a_region_in_use_is_better_than_one_that_was_left() -> None:
    """A call that failed in the only region in use goes there again: one that was left is left alone."""
    health = left(index=1)
    choice = health.choose(30.0, failed=[0], refused=(), may_try=True)
    assert choice == Choice(0, 0)


def test_refused_regions_are_not_asked_again() -> None:
    """A region whose circuit refused this attempt is out; if all did, there is no choice."""
    health = Health.begin(2, 5, 60.0)
    assert health.choose(0.0, failed=[1], refused={0}, may_try=True) == Choice(1, 0)
    assert health.choose(0.0, failed=(), refused={0, 1}, may_try=True) is None


# The last resort


def both_left() -> Health:
    """The second was left 10 s after the first."""
    health = left()
    for _ in range(5):
        health = health.failed(health.stay(1), 10.0)
    return health


def test_with_all_regions_left_the_first_due_is_asked() -> None:
    """To refuse is a breaker's business: the region that was left longest ago may answer, for any number of calls."""
    health = both_left()
    assert choose(health, 20.0) == choose(health, 20.0, may_try=False) == Choice(0, 1)
    assert health.choose(20.0, failed=[0], refused=(), may_try=True) == Choice(1, 1)


def test_the_last_resort_goes_round() -> None:
    """One that fails again is left anew, so that the next call tries another; one that answers is in use at once."""
    health = both_left()
    health = health.failed(choose(health, 20.0), 20.0)
    assert choose(health, 20.0).index == 1
    health = health.answered(choose(health, 20.0))
    assert choose(health, 20.0) == Choice(1, 2)


def test_the_last_resort_does_not_disturb_a_trial() -> None:
    """Its failure neither ends the trial of another nor makes that one's answer count for nothing."""
    health, trial = tried(both_left(), 60.0)
    for index, step in ((0, "failed"), (1, "shut")):
        choice = health.choose(61.0, failed=[1 - index], refused=(), may_try=True)
        assert choice == Choice(index, health.places[index].generation)
        health = health.failed(choice, 61.0) if step == "failed" else health.shut(choice, 61.0, 5.0)
    assert health.places[0].trial_until == NEVER
    assert choose(health.answered(trial), 61.0).index == 0


# What comes late


def test_what_began_before_a_region_was_left_says_nothing() -> None:
    """Its failure does not put the trial off, its answer does not bring the region back, its refusal does not shorten
    the time.
    """
    begun = choose(Health.begin(2, 5, 60.0))
    health = left()
    for late in (health.failed(begun, 50.0), health.answered(begun), health.shut(begun, 50.0, 1.0)):
        assert late is health


def test_what_began_before_a_region_was_left_says_nothing_after_its_return() -> None:
    """Five slow attempts of the outage that fail after the trial was answered do not end the region's use again."""
    begun = choose(Health.begin(2, 5, 60.0))
    health, choice = tried(left(), 60.0)
    health = health.answered(choice)
    for _ in range(5):
        assert health.failed(begun, 61.0) is health


def test_what_cannot_leave_a_region_counts_while_that_is_in_use() -> None:
    """A call bound to its region counts like any other, until the region is left: then it is no trial."""
    health = Health.begin(2, 1, 60.0)
    assert choose(health.failed(health.stay(0), 0.0)).index == 1
    health = left()
    bound = health.stay(0)
    assert bound == Choice(0, None)
    assert health.answered(bound) is health
    assert health.failed(bound, 30.0) is health
    assert health.shut(bound, 30.0, 1.0) is health
