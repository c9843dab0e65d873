"""Runs: `.result` has the type of what the function gives."""

from dataclasses import dataclass
from typing import Any, assert_type

import promissory
from promissory import Context, FailurePolicy, NodeFailure, Plan, Promise, Run, Store, attach, dynamic, promise, rerun
from promissory import resume, run, start, task, workflow


@dataclass
class Row:
    price: float


@task
def inc(x: int) -> int:
    return x + 1


@task
def log(text: str) -> None:
    pass


@task
async def fetch(ctx: Context, url: str) -> bytes:
    return url.encode()


@task
def mend(x: int, err: NodeFailure) -> int:
    return len(err.message) + x


@dynamic
def fib(n: int) -> int:
    return n if n < 2 else inc(fib(n - 1))


@workflow
def flow(x: int) -> int:
    return inc(x)


@workflow(strict=True, on_failure=log, failure_policy=FailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def pair(x: int) -> tuple[int, Row]:
    return flow(x), Row(1.0)


def results(store: Store) -> None:
    assert_type(run(flow, {"x": 1}), Run[int])
    assert_type(run(flow, {"x": 1}).result, int)
    assert_type(run(flow, {"x": 1}, store="memory://a", run_id="one", engine="threads").result, int)
    assert_type(run(pair, {"x": 1}, store=store).result, tuple[int, Row])
    assert_type(run(inc, {"x": 1}).result, int)
    assert_type(run(log, {"text": "a"}), Run[None])
    assert_type(run(fetch, {"url": "a"}).result, bytes)
    assert_type(run(fib, {"n": 3}, max_depth=9).result, int)
    assert_type(start(flow, {"x": 1}), Run[int])
    assert_type(start(pair, {"x": 1}).result, tuple[int, Row])
    assert_type(run(flow.compile(), {"x": 1}).result, Any)
    assert_type(attach("one", store=store).result, Any)
    assert_type(resume("one", target=flow).state, str)
    assert_type(rerun("one", "main/inc").id, str)
    assert_type(flow.compile(), Plan)
    assert_type(fib.compile(), Plan)
    assert_type(promissory.compile(inc), Plan)
    assert_type(promise(inc(1)).on_error(-1), Promise[int])


def bare(any_run: Run, of_ints: Run[int]) -> None:
    assert_type(any_run, Run[Any])
    assert_type(any_run.result, Any)
    assert_type(any_run.state, str)
    assert_type(any_run.outputs, dict[str, Any])
    assert_type(of_ints.result, int)
    assert_type(of_ints.logs(), str)
    takes_any(of_ints)


def takes_any(run: Run) -> Run:
    return run


def refused(of_texts: Run[str]) -> None:
    text: str = run(flow, {"x": 1}).result  # error: an int is no str
    of_texts = run(flow, {"x": 1})  # error: a run of ints
    of_texts = start(flow, {"x": 1})  # error: a run of ints
    inc(of_texts.result)  # error: a str where an int is wanted
    inc(run(flow, {"x": 1}))  # error: the run itself; its result is an int
    run("flow")  # error: the name of a workflow is none
    run(len, {"x": 1})  # error: no task, workflow or dynamic
    run(flow, ["x", 1])  # error: inputs are given by name
    run(flow, {1: 1})  # error: names are texts
    run(flow, x=1)  # error: no option is called x
    run(flow, {"x": 1}, max_depth="9")  # error: a number is wanted
    run(flow, {"x": 1}, store=3)  # error: a store is a URL, path or Store
    run(flow, {"x": 1}).results  # error: the attribute is called result
    run(flow, {"x": 1}).wait(timeout="1h")  # error: a number of seconds
    resume(3)  # error: the run's name is a text
    rerun("one")  # error: from which node?
    attach("one", engine="inline")  # error: it only looks on
    workflow(failure_policy="later")  # error: a FailurePolicy is wanted
    workflow(retries=3)  # error: that is an option of tasks
    flow.compile(1)  # error: the inputs are given to the run
