"""When a trigger polls next."""

from __future__ import annotations

import pytest

from airflow_provider_catalog.triggers.pace import Pace

START = 1_800_000_000.0


@pytest.mark.parametrize(
    ("elapsed", "next_poll"),
    [(0, 60), (0.5, 60), (59.9, 60), (60.5, 120), (61, 120), (3600 * 5 + 1, 3600 * 5 + 60), (-5, 60)],
)
def test_polls_stay_at_their_times(elapsed, next_poll):
    assert Pace(60, START).next_poll(START + elapsed) == START + next_poll


def test_an_interval_of_zero_does_not_keep_the_triggerer_busy():
    assert Pace(0, START).next_poll(START + 5) - (START + 5) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("backoff", [False, True])
def test_the_last_poll_is_at_the_deadline(backoff):
    pace = Pace(60, START, exponential_backoff=backoff, deadline=START + 100)
    assert pace.next_poll(START + 99.5) == START + 100


def test_backoff_doubles_and_max_wait_ends_that():
    def waits(**parameters):
        pace, now, found = Pace(60, START, exponential_backoff=True, **parameters), START, []
        for _ in range(8):
            found.append(pace.next_poll(now) - now)
            now += found[-1]
        return found

    for first, *others, last in [waits() for _ in range(300)]:
        assert 30 <= first < 60, "half an interval, and up to as much again"
        assert first < last / 8, "it grows"
        assert len(others) == 6
    assert max(waits(max_wait=100)) == 100


def test_polls_that_are_due_together_are_spread():
    def delays(poke_interval, deadline):
        return [Pace(poke_interval, START, deadline=deadline).delay() for _ in range(1000)]

    for poke_interval, timeout, most in ((60, 3600, 7), (60, 60, 3), (8, 3600, 1), (3600, 86400, 7)):
        found = delays(poke_interval, START + timeout)
        assert min(found) >= 0
        assert most / 2 < max(found) <= most
    assert set(delays(60, START - 5)) == {0.0}
