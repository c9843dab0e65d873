"""X8: after a failure every node has the state that tells what became of it."""

import pytest

from promissory import Workflow, dynamic, run, task, workflow
from promissory.executor.history.history import History


@task
def fine(x: int) -> int:
    return x


@task
def boom(x: int) -> int:
    raise ValueError(x)


@task
def join(a: int, b: int) -> int:
    return a + b


@task
def table(x: int) -> dict[str, int]:
    return {"a": x}


def states(ended):
    return {row.path: row.state for row in ended.nodes()}


def test_X8_states_of_all_nodes_after_a_failure(store):
    @workflow
    def inner(x: int) -> int:
        return join(fine(x), boom(x))

    @workflow
    def outer(x: int) -> int:
        before = fine(x)
        broken = inner(before)
        after = fine(broken)
        ordered = fine(1)
        after >> ordered
        independent = fine(5)
        return join(after, independent)

    ended = run(outer, {"x": 1}, store=store)
    found = states(ended)
    assert found.pop("main/fine~4") in (
        "SUCCEEDED",
        "CANCELLED",
    )  # whether it began before the failure is the scheduler's choice
    assert found == {
        "main/fine": "SUCCEEDED",
        "main/inner": "FAILED",
        "main/fine~2": "UPSTREAM_FAILED",
        "main/fine~3": "UPSTREAM_FAILED",
        "main/join": "UPSTREAM_FAILED",
        "main/inner/fine": "SUCCEEDED",
        "main/inner/boom": "FAILED",
        "main/inner/join": "UPSTREAM_FAILED",
    }


def test_X8_a_dynamic_whose_child_failed_has_failed_with_all_above_it(store):
    @dynamic
    def lower(x: int) -> int:
        return join(boom(x), fine(x))

    @dynamic
    def upper(x: int) -> int:
        return join(lower(x), 1)

    ended = run(upper, {"x": 1}, store=store)
    found = states(ended)
    assert found["main/upper"] == found["main/upper/lower"] == found["main/upper/lower/boom"] == "FAILED"
    assert found["main/upper/join"] == found["main/upper/lower/join"] == "UPSTREAM_FAILED"


def test_X8_a_nested_workflow_whose_result_could_not_be_made_has_failed(store):
    """The value that leaves a frame is made behind its last node; if that fails, the frame has not succeeded."""

    @workflow
    def picks(x: int) -> int:
        return table(x)["missing"]

    @workflow
    def outer(x: int) -> int:
        return fine(picks(x))

    ended = run(outer, {"x": 1}, store=store)
    assert ended.state == "FAILED"
    found = states(ended)
    assert found["main/picks"] == "FAILED"
    assert found["main/fine"] == "UPSTREAM_FAILED"


def test_X8_a_dynamic_whose_result_could_not_be_made_has_failed(store):
    @dynamic
    def picks(x: int) -> int:
        return table(x)["missing"]

    @workflow
    def outer(x: int) -> int:
        return fine(picks(x))

    found = states(run(outer, {"x": 1}, store=store))
    assert found["main/picks"] == "FAILED"
    assert found["main/picks/table"] == "SUCCEEDED"


def test_X8_the_row_of_a_failed_node_says_why(store):
    ended = run(boom, {"x": 8}, store=store)
    (row,) = ended.nodes()
    assert (row.why, row.attempts, row.kind) == ("ValueError: 8", 1, "task")


def test_X8_all_nodes_of_a_run_that_ended_well_have_succeeded(store):
    with Workflow("two") as two:
        x = two.add_workflow_input("x", int)
        two.add_workflow_output("a", fine(fine(x)))
        two.add_workflow_output("b", x)
    ended = run(two, {"x": 1}, store=store)
    assert set(states(ended).values()) == {"SUCCEEDED"}
    assert repr(ended) == f"<run {ended.id} SUCCEEDED>"


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_X5_a_clock_that_is_set_back_spoils_no_duration_and_no_order(project, engine):
    """The body sets the clock of its process back by a day: with inline and threads that is the executor's, too."""
    project.write(
        "clock.py",
        """
        import time
        from promissory import task, workflow

        real = time.time, time.time_ns

        @task
        def says(x: int) -> int:
            print("says", x)
            return x + 1

        @task
        def sets_back(x: int) -> int:
            print("before")
            time.time = lambda: real[0]() - 86_400
            time.time_ns = lambda: real[1]() - 86_400 * 10**9
            print("after")
            return x

        @workflow
        def flow() -> int:
            return says(sets_back(says(1)))
        """,
    )

    def command(*arguments):
        process = project.spawn("-m", "promissory", *arguments)
        output, errors = project.finish(process)
        assert (process.returncode, "Traceback" in errors) == (0, False), errors
        return output

    command("run", "--run-id", "r", "--engine", engine, "clock.py", "flow")
    rows = History(project.store, "r").nodes()
    assert all(0 <= row.duration < 3_600_000_000 for row in rows)
    assert command("logs", "r").splitlines() == [
        "main/says | says 1",
        "main/sets_back | before",
        "main/sets_back | after",
        "main/says~2 | says 2",
    ]
    for arguments in (("status", "r", "--nodes"), ("runs",), ("explain", "r", "main/sets_back"), ("doctor", "r")):
        assert "-86" not in command(*arguments)
