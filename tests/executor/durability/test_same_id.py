"""`run` and `start` with a run id are idempotent: the same id, plan and inputs are the same run (code digests apart,
R6); anything else is an error.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import promissory
from promissory import compile as compile_plan
from promissory import dynamic, task, workflow
from promissory.errors import InputError, RunExists
from promissory.executor import attach, crash_points, run, start
from promissory.executor.journal.reader import find_end
from promissory.executor.protocol.events import ENDED, NODE_DONE, RESUMED
from promissory.testing import Crashed, crash_at

ran = []
broken = set()
inside, go_on = threading.Event(), threading.Event()


@task
def step(x: int) -> int:
    ran.append(x)
    if x in broken:
        raise ValueError("not today")
    return x + 1


@task
def waits(x: int) -> int:
    ran.append("waits")
    inside.set()
    assert go_on.wait(60)
    return x + 1


@dynamic
def down(n: int) -> int:
    return step(down(n - 1)) if n else step(0)


@workflow
def flow(x: int, y: int = 5) -> int:
    return step(step(x))


@workflow
def other(x: int, y: int = 5) -> int:
    return step(x)


@workflow
def held(x: int) -> int:
    return step(waits(x))


@workflow
def large(values: list[int]) -> list[int]:
    return values


@pytest.fixture(autouse=True)
def forget():
    ran.clear()
    broken.clear()
    inside.clear()
    go_on.clear()


@pytest.fixture
def store(request):
    return f"memory://same-{request.node.name}"


# --- how it stands ---


@pytest.mark.parametrize("begin", [run, lambda *args, **kwargs: start(*args, **kwargs).wait(60)])
def test_R6_a_run_that_succeeded_is_given_as_it_is(store, begin):
    first = run(flow, {"x": 0}, store=store, run_id="same")
    end = find_end(first.store, "same")
    second = begin(flow, {"x": 0}, store=store, run_id="same")
    assert (second.id, second.state, second.result) == ("same", "SUCCEEDED", 2)
    assert ran == [0, 1]
    assert find_end(first.store, "same") == end


def test_R6_an_input_that_is_said_is_the_same_as_its_default(store):
    run(flow, {"x": 0}, store=store, run_id="same")
    assert run(flow, {"x": 0, "y": 5}, store=store, run_id="same").result == 2


def test_R6_a_compiled_plan_is_the_same_as_the_workflow_that_it_was_compiled_from(store):
    run(flow, {"x": 0}, store=store, run_id="same")
    assert run(compile_plan(flow), {"x": 0}, store=store, run_id="same").result == 2
    assert ran == [0, 1]


def test_R6_large_inputs_are_compared_too(store):
    run(large, {"values": list(range(5000))}, store=store, run_id="same")
    assert run(large, {"values": list(range(5000))}, store=store, run_id="same").result == list(range(5000))
    with pytest.raises(RunExists, match="with another values"):
        run(large, {"values": list(range(5001))}, store=store, run_id="same")


def test_R6_a_run_that_failed_is_given_as_it_is(store):
    broken.add(1)
    run(flow, {"x": 0}, store=store, run_id="same")
    broken.clear()
    second = run(flow, {"x": 0}, store=store, run_id="same")
    assert (second.state, second.error.path, ran) == ("FAILED", "main/step~2", [0, 1])


def test_R6_a_run_that_was_interrupted_is_resumed(store):
    with crash_at("journal.committed"), pytest.raises(Crashed):
        run(flow, {"x": 0}, store=store, run_id="same", durability="process")
    ran.clear()
    assert run(flow, {"x": 0}, store=store, run_id="same").result == 2
    assert ran in ([], [0], [1], [0, 1])


@pytest.mark.full
def test_R6_a_run_that_was_killed_before_its_first_segment_begins(store):
    with crash_at("run.manifest-written"), pytest.raises(Crashed):
        run(flow, {"x": 0}, store=store, run_id="same")
    assert run(flow, {"x": 0}, store=store, run_id="same").result == 2


def test_R6_a_run_that_was_cancelled_is_given_as_it_is(store):
    going = start(held, {"x": 0}, store=store, run_id="same", engine="threads")
    assert inside.wait(60)
    going.cancel("enough")
    go_on.set()
    going.wait(60)
    assert run(held, {"x": 0}, store=store, run_id="same").state == "CANCELLED"
    assert ran == ["waits"]


def test_R6_a_run_that_was_stopped_goes_on(store):
    going = start(held, {"x": 0}, store=store, run_id="same", engine="threads")
    assert inside.wait(60)
    going.stop()
    go_on.set()
    assert going.wait(60).state == "INTERRUPTED"
    assert run(held, {"x": 0}, store=store, run_id="same").result == 2
    assert ran == ["waits", 1]


def test_R6_a_live_run_is_waited_for(store):
    going = start(held, {"x": 0}, store=store, run_id="same", engine="threads")
    assert inside.wait(60)
    assert start(held, {"x": 0}, store=store, run_id="same").state == "RUNNING", "start returns at once"
    with ThreadPoolExecutor(2) as pool:
        others = [pool.submit(run, held, {"x": 0}, store=store, run_id="same") for _ in range(2)]
        go_on.set()
        assert [one.result(60).result for one in others] == [2, 2]
    assert going.wait(60).result == 2
    assert ran == ["waits", 1]


def test_R6_a_live_run_that_is_paused_is_waited_for(store):
    going = start(held, {"x": 0}, store=store, run_id="same", engine="threads")
    assert inside.wait(60)
    going.pause()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(run, held, {"x": 0}, store=store, run_id="same")
        go_on.set()
        going.unpause()
        assert other.result(60).result == 2


# --- anything else ---


@pytest.mark.parametrize(
    ("target", "inputs", "said"),
    [
        (flow, {"x": 1}, "has a run 'same' already, with another x: "),
        (flow, {"x": 0, "y": 6}, "has a run 'same' already, with another y: "),
        (flow, {"x": 3, "y": 6}, "has a run 'same' already, with another x, y: "),
        (other, {"x": 0}, "has a run 'same' already, of another plan: "),
        (held, {"x": 0}, "has a run 'same' already, of another plan: "),
    ],
)
@pytest.mark.parametrize("begin", [run, start])
def test_R6_other_inputs_or_another_plan_are_an_error(store, target, inputs, said, begin):
    run(flow, {"x": 0}, store=store, run_id="same")
    with pytest.raises(RunExists, match=said):
        begin(target, inputs, store=store, run_id="same")
    assert ran == [0, 1]
    assert attach("same", store=store).result == 2


def test_R6_inputs_that_do_not_fit_are_an_error_before_anything_else(store):
    run(flow, {"x": 0}, store=store, run_id="same")
    with pytest.raises(InputError):
        run(flow, {"x": "zero"}, store=store, run_id="same")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a" * 129, "ä", "a b"])
def test_R6_what_can_not_be_a_name_is_refused(store, name):
    with pytest.raises(InputError, match="can't name a run"):
        run(flow, {"x": 0}, store=store, run_id=name)


# --- code ---

BEFORE = """
import pathlib
from promissory import task, workflow
@task
def one(x: int) -> int:
    return x + 1
@task
def two(x: int) -> int:
    if BROKEN:
        raise KeyboardInterrupt
    return x * 2
BROKEN = True
@workflow
def flow(x: int) -> int:
    return two(one(x))
"""


def test_R6_a_run_of_which_only_the_code_changed_is_the_same_run(tmp_path, write_module):
    with pytest.raises(KeyboardInterrupt):
        run(write_module("same_code", BEFORE).flow, {"x": 1}, store=tmp_path, run_id="same")
    changed = BEFORE.replace("x * 2", "x * 100").replace("x + 1", "x + 50").replace("BROKEN = True", "BROKEN = False")
    again = run(write_module("same_code", changed).flow, {"x": 1}, store=tmp_path, run_id="same")
    assert again.result == 200, "what was committed stays, the rest runs the new code"
    assert run(write_module("same_code", BEFORE).flow, {"x": 1}, store=tmp_path, run_id="same").result == 200


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return two(one(x))", "return one(two(x))"),
        ("return two(one(x))", "return two(one(one(x)))"),
        ("def two(x: int) -> int", "def two(x: float) -> int"),
        ("def two(x: int) -> int", "def two(x: int, z: int = 3) -> int"),
        ("@task\ndef one", "@task(retries=2)\ndef one"),
    ],
)
def test_R6_a_plan_that_differs_in_more_than_code_is_another_one(tmp_path, write_module, old, new):
    assert old in BEFORE
    run(write_module("same_plan", BEFORE.replace("= True", "= False")).flow, {"x": 1}, store=tmp_path, run_id="same")
    with pytest.raises(RunExists, match="of another plan"):
        run(
            write_module("same_plan", BEFORE.replace(old, new).replace("= True", "= False")).flow,
            {"x": 1},
            store=tmp_path,
            run_id="same",
        )


# --- at one time ---


def test_R6_two_starts_in_a_row_are_one_run(store):
    go_on.set()
    both = [start(held, {"x": 0}, store=store, run_id="same", engine="threads") for _ in range(2)]
    assert [one.wait(60).result for one in both] == [2, 2]
    assert ran == ["waits", 1]


@pytest.mark.parametrize(
    "point",
    [
        "run.manifest-written",
        "journal.segment-written",
    ],
)
def test_R6_a_second_run_that_comes_while_the_first_one_begins_is_the_same_run(store, point):
    """The first one is held where its manifest is written, and its beat is not."""
    at, later = threading.Event(), threading.Event()
    mine = threading.current_thread()

    def watch(reached):
        if reached == point and threading.current_thread() is not mine and not at.is_set():
            at.set()
            assert later.wait(60)

    before, crash_points.watcher = crash_points.watcher, watch
    try:
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(run, flow, {"x": 0}, store=store, run_id="same", durability="process")
            assert at.wait(60)
            second = pool.submit(run, flow, {"x": 0}, store=store, run_id="same", durability="process")
            later_by = threading.Timer(0.3, later.set)
            later_by.start()
            assert [first.result(60).result, second.result(60).result] == [2, 2]
    finally:
        later.set()
        crash_points.watcher = before


PROGRAM = """
import os, sys
import promissory
from promissory import task, workflow

@task
def step(x: int) -> int:
    with open("started", "a") as file:
        file.write(f"{os.getpid()} {x}\\n")
    return x + 1

@workflow
def flow(x: int) -> int:
    for _ in range(20):
        x = step(x)
    return x

if __name__ == "__main__":
    open(os.environ["GATE"]).read()
    ended = promissory.run(flow, {"x": 0}, run_id="same", engine=sys.argv[1])
    print(ended.state, ended.result)
"""


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_R6_of_processes_that_start_a_run_at_one_time_one_carries_it_and_the_others_wait(
    project, gate, eventually, engine, events_of
):
    project.write("program.py", PROGRAM)
    gates = [gate(str(number)) for number in range(3)]
    processes = [project.spawn("program.py", engine, GATE=one.path) for one in gates]
    for one in gates:
        one.reached()
    for one in gates:
        one.open()
    ended = [project.finish(process) for process in processes]
    assert [output for output, _ in ended] == ["SUCCEEDED 20\n"] * 3, ended
    events = events_of(project.store, "same")
    assert sum(event[0] == ENDED for event in events) == 1
    done = [event[2] for event in events if event[0] == NODE_DONE]
    assert sorted(done) == list(range(20))


def test_R6_a_second_process_that_comes_later_waits_for_the_first_one(project, gate, eventually, events_of):
    project.write(
        "program.py",
        PROGRAM.replace("x + 1", "x + int(bool(open(os.environ['BODY']).read() is not None))").replace(
            "range(20)", "range(1)"
        ),
    )
    ways, body = [gate("one"), gate("two")], gate("body")
    first = project.spawn("program.py", "inline", GATE=ways[0].path, BODY=body.path)
    ways[0].reached()
    ways[0].open()
    body.reached()
    second = project.spawn("program.py", "inline", GATE=ways[1].path, BODY=body.path)
    ways[1].reached()
    ways[1].open()
    eventually(lambda: attach("same", store=project.store).state == "RUNNING", "the run")
    body.open()
    assert [project.finish(one)[0] for one in (first, second)] == ["SUCCEEDED 1\n"] * 2
    assert len(project.lines("started")) == 1
    assert sum(event[0] == RESUMED for event in events_of(project.store, "same")) == 1


def test_R6_a_run_whose_first_executor_is_killed_is_carried_on_by_the_next_call(project, gate):
    project.write("program.py", PROGRAM)
    ways = [gate("one"), gate("two")]
    dies = (
        "import promissory.testing, runpy, sys\n"
        "if __name__ == '__main__':\n"
        "    with promissory.testing.crash_at('worker.before-body', 7, 'kill'):\n"
        "        import program\n"
        "        promissory.run(program.flow, {'x': 0}, run_id='same', durability='process')\n"
    )
    project.write("dies.py", dies)
    first = project.spawn("dies.py", GATE=ways[0].path)
    project.finish(first)
    assert first.returncode == -9
    project.write(
        "lives.py", "import promissory, program\nprint(promissory.run(program.flow, {'x': 0}, run_id='same').result)"
    )
    assert project.python("lives.py") == "20\n"
    assert promissory.attach("same", store=project.store).result == 20
