"""The promise's face: order edges, names, and the calls whose result is None."""

from typing import assert_type

import promissory
from promissory import Plan, Promise, Workflow, promise, task, workflow


@task
def inc(x: int) -> int:
    return x + 1


@task
def log(text: str = "-") -> None:
    pass


@task(strict=True)
def note() -> None:
    pass


@task
async def warm_up() -> None:
    pass


@workflow
def ordered(x: int) -> int:
    log() >> note() >> log("c")
    log() >> [note(), log("c")]
    [log(), note()] >> log("c")
    warm_up() >> log()
    log() >> promise(inc(x)).with_overrides(name="after log")
    return inc(x)


def faces() -> None:
    assert_type(promise(inc(1)), Promise[int])
    assert_type(promise(inc(1)).with_overrides(name="a"), Promise[int])
    assert_type(note(), Promise[None])
    assert_type(warm_up(), Promise[None])
    assert_type(promissory.compile(inc), Plan)
    assert_type(promissory.compile(ordered), Plan)


def by_hand() -> None:
    with Workflow("by hand") as wf:
        x = wf.add_workflow_input("x", int)
        assert_type(x, int)
        wf.add_workflow_output("y", inc(x), int)
    assert_type(wf.compile(), Plan)


def refused() -> None:
    inc(log())  # error: None is no int
    inc(promise(inc(1)))  # error: a promise's face is not the value's
    inc(1).with_overrides(name="a")  # error: an int has no overrides; promise(inc(1)) has
    promise(inc(1)).with_overrides(label="a")  # error: no such override
    promise(inc(1)).with_overrides("a")  # error: overrides are given by name
    Workflow()  # error: a workflow has a name
