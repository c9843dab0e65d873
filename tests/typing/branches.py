"""Choices, gates, merges and cycles. What a choice gives is `Any` today; its arms take anything."""

from datetime import timedelta
from typing import Any, assert_type

from promissory import Cycle, Promise, approve, conditional, cycle, every, merge, once, prev, promise, sleep, task
from promissory import wait_for_input, workflow


@task
def inc(x: int, by: int = 1) -> int:
    return x + by


@task
def name_of(x: int) -> str:
    return str(x)


@task
def log(text: str = "-") -> None:
    pass


@workflow
def choice(n: int, odd: bool) -> int:
    chosen: int = conditional("size").if_(inc(n) > 10).then(inc(n)).elif_(odd).then(3).else_().fail("too small")
    return chosen


@workflow
def waits(n: int) -> int:
    log() >> sleep(60) >> log()
    log() >> sleep(timedelta(hours=1))
    return inc(approve(inc(n), "go on", timeout=60), wait_for_input("how many", type=int))


@cycle(stop=9)
def counted(c: Cycle, n: int) -> int:
    assert_type(prev(inc, default=0), int)
    assert_type(prev(name_of, 2, default="a"), str)
    assert_type(once()(inc)(1, by=2), int)
    assert_type(every(3)(name_of)(1), str)
    assert_type(c.number, int)
    return inc(prev(inc, default=n))


def results() -> None:
    assert_type(conditional("a").if_(True).then(inc(1)), Any)
    assert_type(merge(inc(1), inc(2)), int)
    assert_type(merge(name_of(1)), str)
    assert_type(approve(name_of(1), "a"), str)
    assert_type(wait_for_input("a", type=int), Any)
    assert_type(sleep(60), Promise[None])
    assert_type(counted(1), int)
    assert_type(promise(name_of(1)), Promise[str])


@cycle(stop=9)
def wrong(c: Cycle, n: int) -> int:
    once()(inc)("a")  # error: the arguments of inc are checked
    name_of(prev(name_of, default="a"))  # error: the round before gave a str
    prev(inc, "2")  # error: rounds are counted
    every("3")  # error: rounds are counted
    return every(2)(name_of)(n)  # error: a str where an int is declared


def refused() -> None:
    conditional()  # error: a choice has a name
    conditional("a").then(inc(1))  # error: no arm is open
    conditional("a").if_()  # error: an arm has a condition
    conditional("a").if_(True).else_()  # error: the arm has no value yet
    conditional("a").if_(True).fail(3)  # error: a message is a text
    inc(merge(name_of(1), name_of(2)))  # error: a str where an int is wanted
    inc(approve(name_of(1), "a"))  # error: a str where an int is wanted
    approve(inc(1))  # error: a gate has a name
    approve(inc(1), "a", timeout="1h")  # error: seconds or a timedelta
    wait_for_input("a", kind=int)  # error: the argument is called type
    inc(sleep(60))  # error: a wait has no value
    counted("a")  # error: the inputs of a cycle are checked
    cycle(stop="9")  # error: a number is wanted
    inc(inc)  # error: the task itself, not what its call gives
