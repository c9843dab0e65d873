"""X6, X10: what a failure tells, what it stops, and what it leaves behind."""

import sys

import pytest

from promissory import FailurePolicy, attach, dynamic, run, task, workflow
from promissory.errors import RemoteError, RunFailed


class Mine(Exception):
    """An exception of the author's."""

    def __init__(self, code):
        super().__init__(f"code {code}")
        self.code = code

    def __reduce__(self):
        return Mine, (self.code,)


class TwoArguments(Exception):
    """Its pickle can't be loaded: its constructor wants more than its text."""

    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


class NoText(Exception):
    """An exception that can't say what it is."""

    def __str__(self):
        raise ValueError("no text")


@task
def boom(code: int) -> int:
    raise Mine(code)


@task
def add(a: int, b: int) -> int:
    return a + b


def failed(target, store, **inputs):
    ended = run(target, inputs, store=store)
    assert ended.state == "FAILED"
    return ended


def failing_with(error):
    @task
    def fails(x: int) -> int:
        raise error

    return fails


def test_X6_the_caller_gets_path_attempt_cause_and_run(store):
    @workflow
    def outer(x: int) -> int:
        return add(middle(x), 1)

    @dynamic
    def middle(x: int) -> int:
        return add(boom(x), 1)

    ended = failed(outer, store, x=7)
    with pytest.raises(RunFailed) as caught:
        _ = ended.result
    error = caught.value
    assert (error.path, error.attempt, error.run_id) == ("main/middle/boom", 1, ended.id)
    assert type(error.__cause__) is Mine
    assert error.__cause__.code == 7
    assert str(error).startswith("main/middle/boom failed: Mine: code 7")
    assert f"promissory resume {ended.id}" in str(error)
    assert ended.reason == "main/middle/boom: Mine: code 7"


def test_X6_a_plain_call_raises_the_same():
    @workflow
    def calls(x: int) -> int:
        return boom(x)

    with pytest.raises(RunFailed, match="code 3") as caught:
        calls(3)
    assert type(caught.value.__cause__) is Mine


def frames_of(text):
    return [line for line in text.splitlines() if line.lstrip().startswith("File ")]


def test_X6_the_remote_traceback_begins_in_the_authors_code(store):
    def deeper():
        raise ValueError("deep")

    @task
    def fails(x: int) -> int:
        deeper()
        return x

    frames = frames_of(failed(fails, store, x=1).error.remote_traceback)
    assert [(__file__ in frame, frame.rpartition(" in ")[2].rpartition(".")[2]) for frame in frames] == [
        (True, "fails"),
        (True, "deeper"),
    ]


def test_X6_the_traceback_of_an_async_task_begins_in_the_authors_code(store):
    @task
    async def fails(x: int) -> int:
        raise ValueError("late")

    frames = frames_of(failed(fails, store, x=1).error.remote_traceback)
    assert __file__ in frames[0], "the first line shown is the event loop's"


def test_X6_the_body_of_a_dynamic_fails_as_a_task_does_and_nothing_of_it_runs(store):
    ran = []

    @task
    def note(x: int) -> int:
        ran.append(x)
        return x

    @dynamic
    def fails(x: int) -> int:
        note(x)
        raise Mine(note(x) is None)

    error = failed(fails, store, x=1).error
    assert type(error.__cause__) is Mine
    assert (error.path, ran) == ("main/fails", [])
    assert __file__ in frames_of(error.remote_traceback)[0]


def test_X10_sys_exit_in_a_body_is_that_nodes_failure(store):
    @task
    def leaves(x: int) -> int:
        sys.exit(x)

    error = failed(leaves, store, x=4).error
    assert error.path == "main/leaves"
    assert "sys.exit(4)" in str(error)
    assert isinstance(error.__cause__, SystemExit)


def test_X6_an_exception_that_cannot_be_pickled_is_told_by_name_and_text(store):
    class Local(Exception):
        pass

    cause = failed(failing_with(Local("here")), store, x=1).error.__cause__
    assert type(cause) is RemoteError
    assert cause.type_name.endswith("Local")
    assert "here" in str(cause)


def test_X11_an_exception_whose_constructor_takes_other_arguments_comes_back_as_itself(store):
    cause = failed(failing_with(TwoArguments("this", "that")), store, x=1).error.__cause__
    assert (type(cause), str(cause)) == (TwoArguments, "this and that")


@pytest.mark.full(keep=3)
@pytest.mark.parametrize(
    "error",
    [
        NoText(),
        ValueError("\udcff"),
        ValueError("a" * 3_000_000),
        ValueError(),
        KeyError("k"),
        RecursionError("deep"),
        MemoryError(),
    ],
    ids=["no text", "surrogate", "3 MB", "empty", "key", "recursion", "memory"],
)
def test_X6_whatever_a_body_raises_is_its_nodes_failure(store, error):
    ended = failed(failing_with(error), store, x=1)
    assert ended.error.path == "main/fails"
    assert type(error).__name__ in ended.reason
    assert [row.state for row in ended.nodes()] == ["FAILED"]


def test_X6_exception_groups_and_causes_are_in_the_remote_traceback(store):
    @task
    def fails(x: int) -> int:
        try:
            raise KeyError("below")
        except KeyError as error:
            raise ExceptionGroup("several", [ValueError("one"), TypeError("two")]) from error

    error = failed(fails, store, x=1).error
    for text in ("below", "several", "one", "two"):
        assert text in error.remote_traceback
    assert isinstance(error.__cause__, ExceptionGroup)


def test_X6_fail_immediately_starts_nothing_new(store):
    ran = []

    @task
    def note(x: int) -> int:
        ran.append(x)
        if x == 3:
            raise Mine(x)
        return x

    @workflow
    def many() -> list[int]:
        return [note(x) for x in range(200)]

    ended = failed(many, store)
    assert ran == [0, 1, 2, 3]
    assert [row.state for row in ended.nodes()][:5] == ["SUCCEEDED"] * 3 + ["FAILED", "CANCELLED"]


def test_X6_the_failure_that_came_first_is_the_one_that_is_told(store):
    @workflow
    def two() -> list[int]:
        return [boom(1), boom(2)]

    assert failed(two, store).error.__cause__.code == 1


def test_X6_a_failure_in_memory_is_told_without_a_way_to_resume():
    """Nothing is left of a plain call, so its message must not send the author to a store that has no such run."""

    @workflow
    def calls(x: int) -> int:
        return boom(x)

    with pytest.raises(RunFailed) as caught:
        calls(3)
    assert "promissory resume" not in str(caught.value)


def test_X6_the_error_says_how_many_others_failed(store):
    @task
    def bad(x: int) -> int:
        raise ValueError(f"no {x}")

    @workflow(failure_policy=FailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
    def flow(several: bool) -> list[int]:
        return [bad(1), bad(2), bad(3)]

    @workflow
    def single() -> int:
        return bad(1)

    failed = run(flow, {"several": True}, store=store)
    for seen in (failed, attach(failed.id, store=store)):
        assert f"2 other nodes failed, too: promissory status --errors {failed.id}" in str(seen.error)
    assert "failed, too" not in str(run(single, store=store).error)
