# ruff: noqa: B023
"""A12: when a call is recorded the cells of what will run are frozen. The objects in them stay the very objects within
one process.
"""

import pytest

from promissory import Store, Workflow, conditional, dynamic, map_task, promise, run, task, workflow

ENGINES = pytest.mark.parametrize("engine", ["inline", "threads", "processes"])


def result(target, engine="inline", **inputs):
    return run(target, inputs, engine=engine, store=Store(None), echo=False, durability="process").result


@workflow
def in_loop() -> list[int]:
    calls = []
    for k in range(3):

        @task
        def plus(x: int) -> int:
            return x + k

        calls.append(plus(10))
    return calls


@workflow
def reassigned() -> tuple[int, int]:
    k = 1

    @task
    def get() -> int:
        return k

    a = get()
    k = 2
    b = get()
    return a, b


@dynamic
def in_dynamic(n: int) -> list[int]:
    calls = []
    for k in range(n):

        @task
        def plus(x: int) -> int:
            return x + k

        calls.append(plus(10))
    return calls


@workflow
def dynamics_in_loop() -> list[int]:
    calls = []
    for k in range(2):

        @dynamic
        def grows(x: int) -> int:
            @task
            def plus(y: int) -> int:
                return y + k

            return plus(x)

        calls.append(grows(10))
    return calls


@workflow
def maps_in_loop() -> list[list[int]]:
    calls = []
    for k in range(2):

        @task
        def plus(x: int) -> int:
            return x + k

        calls.append(map_task(plus)(x=[10, 20]))
    return calls


@workflow
def arms_in_loop(n: int) -> list[int]:
    calls = []
    for k in range(2):

        @task
        def plus(x: int) -> int:
            return x + k

        calls.append(conditional(f"c{k}").if_(promise(plus(n)) > 100).then(plus(100)).else_().then(plus(10)))
    return calls


@workflow
def recursive_in_loop() -> list[int]:
    """The variable is read by a call that the body makes of itself."""
    calls = []
    for k in range(2):

        @dynamic
        def down(n: int) -> int:
            return down(n - 1) if n else ends()

        @task
        def ends() -> int:
            return k

        calls.append(down(2))
    return calls


@task
def fails() -> int:
    raise ValueError


@workflow
def fallbacks_in_loop() -> list[int]:
    calls = []
    for k in range(2):

        @task
        def instead() -> int:
            return k

        calls.append(promise(fails()).on_error(instead))
    return calls


@workflow
def over_a_helper() -> list[int]:
    """The variable is a captured function's: that function will run as well."""
    calls = []
    for k in range(2):

        def helper(x):
            return x + k

        @task
        def plus(x: int) -> int:
            return helper(x)

        calls.append(plus(10))
    return calls


@workflow
def decorated() -> list[int]:
    calls = []
    for k in range(2):

        def adds(f):
            def inner(x: int) -> int:
                return f(x) + k

            return inner

        @task
        @adds
        def same(x: int) -> int:
            return x

        calls.append(same(10))
    return calls


WANTED = {
    in_loop: [10, 11, 12],
    reassigned: (1, 2),
    in_dynamic: [10, 11, 12],
    dynamics_in_loop: [10, 11],
    maps_in_loop: [[10, 20], [11, 21]],
    arms_in_loop: [10, 11],
    fallbacks_in_loop: [0, 1],
    recursive_in_loop: [0, 1],
    over_a_helper: [10, 11],
    decorated: [10, 11],
}


@ENGINES
@pytest.mark.full(keep=10)
@pytest.mark.parametrize("target", WANTED, ids=lambda target: target.name)
def test_A12_a_call_runs_with_what_was_captured_when_it_was_made(target, engine):
    inputs = {"n": 3} if target is in_dynamic else {"n": 1} if target is arms_in_loop else {}
    assert result(target, engine, **inputs) == WANTED[target]


def test_A12_in_a_block_of_a_workflow_too():
    with Workflow("block") as wf:
        for k in range(2):

            @task
            def get() -> int:
                return k

            wf.add_workflow_output(f"o{k}", get())
    assert run(wf, store=Store(None), echo=False).outputs == {"o0": 0, "o1": 1}


def test_A12_the_plan_names_what_runs_and_the_cache_is_not_poisoned(tmp_path):
    """With the variable's last value for all, the entries of the first two calls would hold the third one's value."""

    @workflow
    def cached() -> list[int]:
        calls = []
        for k in range(3):

            @task(cache=True, cache_version="1")
            def plus(x: int) -> int:
                return x + k

            calls.append(plus(10))
        return calls

    def only(k):
        @task(cache=True, cache_version="1")
        def plus(x: int) -> int:
            return x + k

        return plus

    @workflow
    def again() -> int:
        return only(0)(10)

    store = tmp_path / "store"
    assert run(cached, store=store, echo=False).result == [10, 11, 12]
    assert run(again, store=store, echo=False).result == 10


def test_A12_the_objects_in_the_cells_are_the_very_objects():
    seen = []

    @task
    def notes(x: int) -> int:
        seen.append(x)
        return len(seen)

    @workflow
    def twice() -> tuple[int, int]:
        first = notes(1)
        second = notes(2)
        first >> second
        return first, second

    assert result(twice) == (1, 2)
    assert seen == [1, 2]


def test_A12_a_variable_that_a_body_sets_is_set_for_the_next_body_of_the_call():
    """`nonlocal` writes a cell of the function that runs, and not the author's."""
    count = 0

    @task(retries=2)
    def tries() -> int:
        nonlocal count
        count += 1
        if count < 3:
            raise ValueError
        return count

    assert result(tries) == 3


def test_A12_a_variable_that_is_assigned_after_the_call_is_refused_or_found():
    """A cell that is empty when the call is recorded: a function defined further down, as mutual recursion needs."""

    @dynamic
    def even(n: int) -> bool:
        return odd(n - 1) if n else True

    @dynamic
    def odd(n: int) -> bool:
        return even(n - 1) if n else False

    assert result(even, n=4) is True


def test_A12_each_run_reads_the_variable_anew():
    by = 1

    @task
    def more(x: int) -> int:
        return x + by

    assert result(more, x=1) == 2
    by = 100
    assert result(more, x=1) == 101
