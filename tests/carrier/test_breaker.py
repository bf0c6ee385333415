"""The circuit breaker, by a clock that tests set."""

import pytest

from server.carrier.breaker import BreakerOpen, CircuitBreaker, State


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def changes() -> list[bool]:
    return []


@pytest.fixture
def breaker(clock: Clock, changes: list[bool]) -> CircuitBreaker:
    return CircuitBreaker(failures_to_open=3, rest_seconds=5, on_change=changes.append, clock=clock)


def fail(breaker: CircuitBreaker, times: int, kind: str = "") -> None:
    for _ in range(times):
        with breaker.permit(kind) as permit:
            permit.failed()


def succeed(breaker: CircuitBreaker, kind: str = "") -> None:
    with breaker.permit(kind) as permit:
        permit.succeeded()


def assert_refuses(breaker: CircuitBreaker) -> None:
    with pytest.raises(BreakerOpen):
        breaker.check()
    with pytest.raises(BreakerOpen):
        breaker.permit()


def test_it_begins_closed(breaker: CircuitBreaker, changes: list[bool]) -> None:
    breaker.check()
    assert breaker.state is State.CLOSED
    assert changes == []


def test_it_opens_after_failures_in_a_row(breaker: CircuitBreaker, changes: list[bool]) -> None:
    fail(breaker, 2)
    assert (breaker.state, changes) == (State.CLOSED, [])
    fail(breaker, 1)
    assert (breaker.state, changes) == (State.OPEN, [False])
    assert_refuses(breaker)


def test_a_success_in_between_starts_the_count_again(breaker: CircuitBreaker, changes: list[bool]) -> None:
    for _ in range(5):
        fail(breaker, 2)
        succeed(breaker)
    assert (breaker.state, changes) == (State.CLOSED, [])


def test_one_kind_that_always_fails_opens_it_whatever_else_succeeds(
    breaker: CircuitBreaker, clock: Clock, changes: list[bool]
) -> None:
    for _ in range(3):
        fail(breaker, 1, "bind")
        succeed(breaker, "void") if breaker.state is State.CLOSED else None
    assert (breaker.state, changes) == (State.OPEN, [False])
    clock.now += 5
    succeed(breaker, "void")
    assert (breaker.state, changes) == (State.CLOSED, [False, True])
    fail(breaker, 1, "bind")
    assert breaker.state is State.OPEN, "at once: it has not succeeded since"
    clock.now += 5
    succeed(breaker, "bind")
    fail(breaker, 2, "bind")
    assert breaker.state is State.CLOSED


def test_a_call_without_a_verdict_counts_for_nothing(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    with breaker.permit():
        pass
    assert breaker.state is State.CLOSED
    fail(breaker, 1)
    assert breaker.state is State.OPEN


def test_it_rests_for_its_time_to_the_end(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 4.9
    assert_refuses(breaker)
    clock.now += 0.1
    breaker.check()
    assert breaker.state is State.OPEN  # looking is not asking


def test_after_the_rest_one_call_is_let_through(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 5
    with breaker.permit():
        assert breaker.state is State.HALF_OPEN
        assert_refuses(breaker)


def test_a_trial_that_succeeds_closes_it(breaker: CircuitBreaker, clock: Clock, changes: list[bool]) -> None:
    fail(breaker, 3)
    clock.now += 5
    succeed(breaker)
    assert (breaker.state, changes) == (State.CLOSED, [False, True])
    fail(breaker, 2)
    assert breaker.state is State.CLOSED  # the count began again


def test_a_trial_that_fails_is_another_rest(breaker: CircuitBreaker, clock: Clock, changes: list[bool]) -> None:
    fail(breaker, 3)
    clock.now += 5
    fail(breaker, 1)
    assert (breaker.state, changes) == (State.OPEN, [False])
    clock.now += 4.9
    assert_refuses(breaker)
    clock.now += 0.1
    succeed(breaker)
    assert (breaker.state, changes) == (State.CLOSED, [False, True])


def test_after_a_trial_without_a_verdict_the_next_one_tries(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 5
    with pytest.raises(KeyError), breaker.permit():
        raise KeyError
    assert breaker.state is State.OPEN
    succeed(breaker)
    assert breaker.state is State.CLOSED


def test_what_was_asked_before_it_opened_says_nothing_later(
    breaker: CircuitBreaker, clock: Clock, changes: list[bool]
) -> None:
    slow_success, slow_failure, slower = breaker.permit(), breaker.permit(), breaker.permit()
    fail(breaker, 3)
    slow_success.succeeded()
    slow_failure.failed()
    assert (breaker.state, changes) == (State.OPEN, [False])
    clock.now += 5
    trial = breaker.permit()
    slower.failed()
    assert breaker.state is State.HALF_OPEN
    trial.succeeded()
    assert changes == [False, True]


def test_a_permit_counts_once_when_the_state_changes_by_it(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 5
    trial = breaker.permit()
    trial.succeeded()
    trial.failed()
    assert breaker.state is State.CLOSED
