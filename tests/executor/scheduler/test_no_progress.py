"""D10: a recursion that calls itself with what it has been called with fails, instead of going on until the depth is
used up.
"""

from fractions import Fraction
from typing import Any

import pytest

from promissory import Opaque, dynamic, run, task, workflow
from promissory.errors import NoProgress

bodies = []


@task
def same(x: int) -> int:
    return x


@task
def add(a: int, b: int) -> int:
    return a + b


@dynamic
def endless(n: int, by: int = 0) -> int:
    bodies.append(n)
    return endless(n + by, by)


@dynamic
def ping(n: int) -> int:
    bodies.append("ping")
    return add(pong(same(n)), 1)


@dynamic
def pong(n: int) -> int:
    bodies.append("pong")
    return through(n)


@workflow
def through(n: int) -> int:
    return ping(n)


@dynamic
def wheel(n: int) -> int:
    bodies.append(n)
    return wheel((n + 1) % 7)


@dynamic
def lead_in(n: int) -> int:
    bodies.append(n)
    return lead_in(n - 1) if n > 1 else lead_in(1)


polls = []


@dynamic(allow_repeat=True)
def poll() -> int:
    polls.append(1)
    return poll() if len(polls) < 20 else 7


@dynamic
def turns(handle: Opaque[Fraction], count: int) -> int:
    bodies.append(1)
    return turns(handle, count) if len(bodies) < 20 else 7


def no_progress(target, store, **inputs):
    bodies.clear()
    ended = run(target, inputs, store=store)
    cause = ended.error.__cause__
    assert isinstance(cause, NoProgress)
    return str(cause)


def test_D10_a_dynamic_that_calls_itself_with_the_same_inputs_fails_at_once(store):
    message = no_progress(endless, store, n=1)
    assert len(bodies) <= 2
    assert message.startswith("endless was called again, inside itself, with the inputs")
    for part in ("(n, by)", "main/endless/", "allow_repeat=True"):
        assert part in message


def test_D10_what_changes_its_inputs_goes_on_to_the_depth(store):
    bodies.clear()
    ended = run(endless, {"n": 0, "by": 1}, max_depth=40, store=store)
    assert type(ended.error.__cause__).__name__ == "DepthExceeded"
    assert bodies == list(range(40))


def test_D10_two_that_call_each_other_are_found_through_tasks_and_workflows(store):
    message = no_progress(ping, store, n=1)
    assert message.startswith(("ping was called again", "pong was called again"))
    assert len(bodies) <= 6


@pytest.mark.parametrize("start", range(7))
def test_D10_a_circle_of_seven_is_found(store, start):
    no_progress(wheel, store, n=start)
    assert 7 <= len(bodies) <= 3 * 7


def test_D10_a_circle_behind_a_long_lead_in_is_found(store):
    no_progress(lead_in, store, n=40)
    assert 40 <= len(bodies) <= 3 * 41


def test_D10_allow_repeat_lets_it_poll(store):
    polls.clear()
    assert run(poll, store=store).result == 7
    assert len(polls) == 20


def test_D10_equal_calls_beside_each_other_are_no_circle(store):
    @dynamic
    def leaf(n: int) -> int:
        return add(n, 1)

    @dynamic
    def fan(n: int) -> int:
        return add(add(leaf(1), leaf(1)), leaf(same(1)))

    assert run(fan, {"n": 1}, store=store).result == 6


def test_D10_calls_with_opaque_inputs_are_left_out(store):
    bodies.clear()
    assert run(turns, {"handle": Fraction(1, 2), "count": 1}, store=store).result == 7


def test_D10_any_inputs_count(store):
    @dynamic
    def again(x: Any) -> int:
        bodies.append(1)
        return again(x)

    no_progress(again, store, x=[1, 2])
    assert len(bodies) <= 3


def test_D10_large_inputs_count(store):
    @dynamic
    def again(x: list[int]) -> int:
        bodies.append(1)
        return again(x)

    no_progress(again, store, x=list(range(5000)))
    assert len(bodies) <= 3
