"""R4: `explain` says why a node ran, was cached, or has not run: the first field that differed."""

import signal
import uuid

import pytest

from promissory import Store, dynamic, promise, resume, run, task, workflow
from promissory.errors import RunNotFound
from promissory.executor.history.explain import explain

BROKEN: list[bool] = []


@pytest.fixture
def memory():
    BROKEN.clear()
    return Store(f"memory://explain-{uuid.uuid4().hex}")


@task
def plain(x: int) -> int:
    return x


@task
def breaks(x: int) -> int:
    raise ValueError("broken here")


@task(cache=True, cache_ignore=("debug",))
def work(x: int, y: int = 0, debug: bool = False) -> int:
    return x + y


def told(store, run_id, path):
    found = explain(store, run_id, path)
    return found.state, " ".join(found.reasons)


def test_R4_what_is_not_cached_says_so(memory):
    run(plain, {"x": 1}, store=memory, run_id="one", echo=False)
    assert told(memory, "one", "plain") == ("SUCCEEDED", "it ran it is not cached (cache=False)")


def test_R4_a_first_call_says_that_there_was_nothing(memory):
    run(work, {"x": 1}, store=memory, run_id="one", echo=False)
    assert told(memory, "one", "main/work") == ("SUCCEEDED", "it ran the cache had no result of this task")


def test_R4_a_hit_names_the_call_that_made_it(memory):
    run(work, {"x": 1}, store=memory, run_id="one", echo=False)
    run(work, {"x": 1, "debug": True}, store=memory, run_id="two", echo=False)
    state, why = told(memory, "two", "work")
    assert state == "SUCCEEDED (cached)"
    assert "main/work of run one" in why


@pytest.mark.parametrize(
    ("inputs", "field"),
    [({"x": 2}, "input x"), ({"x": 1, "y": 2}, "input y"), ({"x": 2, "y": 2, "debug": True}, "input x")],
    ids=["one input", "another", "the first of two"],
)
def test_R4_it_names_the_first_input_that_differed(memory, inputs, field):
    run(work, {"x": 1}, store=memory, run_id="one", echo=False)
    run(work, inputs, store=memory, run_id="two", echo=False)
    assert f"(main/work of run one) differs first in its {field}:" in told(memory, "two", "work")[1]


SOURCE = """
from promissory import task, workflow

@task(cache=True, cache_version="1")
def work(x: int) -> int:
    return x

@workflow
def flow(x: int) -> int:
    return work(x)
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"1"', '"2"', "version: 1 there, 2 here"),
        ("work(x: int)", "work(x: int | str)", "interface:"),
        ('"1"', '"code"', "version: 1 there, code "),
    ],
    ids=["version", "interface", "code"],
)
def test_R4_it_names_what_else_differed(write_module, memory, old, new, said):
    run(write_module("flow", SOURCE).flow, {"x": 1}, store=memory, run_id="one", echo=False)
    run(write_module("flow", SOURCE.replace(old, new)).flow, {"x": 1}, store=memory, run_id="two", echo=False)
    assert said in told(memory, "two", "work")[1]


def test_R4_it_tells_the_nearest_of_several_calls(memory):
    for name, inputs in (("far", {"x": 5, "y": 5}), ("near", {"x": 1, "y": 5}), ("asked", {"x": 1, "y": 6})):
        run(work, inputs, store=memory, run_id=name, echo=False)
    assert "main/work of run near) differs first in its input y" in told(memory, "asked", "work")[1]


def test_R4_what_came_later_is_no_reason(memory):
    """The first run found nothing: it can't have differed from a call that was not made yet."""
    run(work, {"x": 1}, store=memory, run_id="first", echo=False)
    before = told(memory, "first", "work")
    run(work, {"x": 2}, store=memory, run_id="later", echo=False)
    assert told(memory, "first", "work") == before == ("SUCCEEDED", "it ran the cache had no result of this task")


def test_R4_it_tells_of_nodes_in_frames(memory):
    @workflow
    def inner(x: int) -> int:
        return work(x, 1)

    @dynamic
    def emits(x: int) -> int:
        return inner(plain(x))

    run(emits, {"x": 1}, store=memory, run_id="one", echo=False)
    run(emits, {"x": 2}, store=memory, run_id="two", echo=False)
    assert (
        "main/emits/inner/work of run one) differs first in its input x"
        in told(memory, "two", "main/emits/inner/work")[1]
    )
    assert told(memory, "two", "main/emits/inner")[1] == "it stands for a workflow, whose tasks run in it"


def test_R4_it_tells_of_a_dynamic_whose_futures_file_was_there(memory):
    BROKEN.append(True)
    run(emits_mended, {"x": 1}, store=memory, run_id="one", echo=False)
    BROKEN.clear()
    run(emits_mended, {"x": 1}, store=memory, run_id="two", echo=False)
    state, why = told(memory, "two", "emits_mended")
    assert (state, "emits_mended of run one" in why) == ("SUCCEEDED (cached)", True)


@task
def mended(x: int) -> int:
    if BROKEN:
        raise ValueError("broken")
    return x


@dynamic(cache=True)
def emits_mended(x: int) -> int:
    return mended(x)


@workflow
def failing(x: int) -> list[int]:
    first = plain(x)
    second = promise(breaks(first))
    return [second, plain(second), work(x)]


@pytest.fixture
def failed(memory):
    run(failing, {"x": 1}, store=memory, run_id="failed", echo=False, max_parallelism=1)
    return memory


def test_R4_a_failed_node_says_what_failed(failed):
    state, why = told(failed, "failed", "breaks")
    assert state == "FAILED"
    assert "attempt 1 failed for good: ValueError: broken here" in why


def test_R4_what_comes_after_a_failure_names_it(failed):
    assert told(failed, "failed", "plain~2") == (
        "UPSTREAM_FAILED",
        "it did not run, since what it needs failed: main/breaks",
    )


@dynamic
def emits_failing(x: int) -> int:
    return breaks(x)


@workflow
def nested_failing(x: int) -> int:
    return breaks(x)


@workflow
def above(x: int) -> list[int]:
    return [emits_failing(x), plain(x)]


@workflow
def above_nested(x: int) -> list[int]:
    return [nested_failing(x), plain(x)]


@pytest.mark.parametrize(
    ("flow", "name"), [(above, "emits_failing"), (above_nested, "nested_failing")], ids=["dynamic", "workflow"]
)
def test_R4_what_failed_because_of_a_node_in_its_frame_names_that_node(memory, flow, name):
    run(flow, {"x": 1}, store=memory, run_id="one", echo=False)
    state, why = told(memory, "one", name)
    assert state == "FAILED"
    assert f"main/{name}/breaks" in why


def test_R4_what_was_tried_several_times_says_so(memory):
    tries = []

    @task(retries=2, cache=True)
    def flaky(x: int) -> int:
        tries.append(x)
        if len(tries) < 3:
            raise OSError("not yet")
        return x

    run(flaky, {"x": 1}, store=memory, run_id="one", echo=False)
    assert "attempt 3 succeeded" in told(memory, "one", "flaky")[1]


INTERRUPTED = """
from promissory import task, workflow

@task(cache=True)
def held(x: int, gate: str) -> int:
    open(gate).read()
    return x

@task
def after(x: int) -> int:
    return x

@workflow
def flow(x: int, gate: str) -> list[int]:
    return [after(held(x, gate))]
"""


@pytest.fixture
def waiting(project, gate, eventually):
    project.write("flow.py", INTERRUPTED)
    held = gate()
    process = project.spawn(
        "-c",
        "import sys; from promissory import run; from flow import flow; "
        "run(flow, {'x': 1, 'gate': sys.argv[1]}, run_id='one')",
        held.path,
    )
    held.reached()
    process.gate = held
    return process


def test_R4_a_node_that_runs_is_said_to_run_and_not_to_have_run(project, waiting, eventually):
    eventually(lambda: explain(project.store, "one", "held").state == "RUNNING", "the beat")
    _, why = told(project.store, "one", "held")
    assert not why.startswith("it ran"), why


def test_R4_a_node_that_waits_names_what_it_waits_for(project, waiting, eventually):
    eventually(lambda: explain(project.store, "one", "held").state == "RUNNING", "the beat")
    assert told(project.store, "one", "after") == ("PENDING", "it waits for main/held (RUNNING)")


def test_R4_what_was_interrupted_says_that_the_run_can_be_resumed(project, waiting):
    waiting.send_signal(signal.SIGKILL)
    waiting.wait()
    assert told(project.store, "one", "held") == ("READY", "it has all it needs; nobody works on the run, so resume it")


def test_R4_a_node_of_a_cancelled_run_names_the_reason(project, gate):
    project.write("flow.py", INTERRUPTED)
    held = gate()
    source = "import sys; from promissory import run; from flow import flow; run(flow, {'x': 1, 'gate': sys.argv[1]}, "
    process = project.spawn("-c", source + "run_id='one', engine='processes')", held.path)
    held.reached()
    project.code("from promissory import attach; attach('one').cancel('enough for today')")
    project.finish(process)
    state, why = told(project.store, "one", "after")
    assert (state, "CANCELLED" in why, "enough for today" in why) == ("CANCELLED", True, True)


SERIALIZED = INTERRUPTED.replace("cache=True", "cache=True, cache_serialize=True, cache_ignore=('gate',)")
SECOND = "from promissory import run; from flow import flow; run(flow, {'x': 1, 'gate': ''}, run_id='two')"


def test_R4_a_node_that_waits_for_another_runs_call_says_so(project, gate, eventually):
    project.write("flow.py", SERIALIZED)
    held = gate()
    first = project.spawn(
        "-c",
        "import sys; from promissory import run; from flow import flow; "
        "run(flow, {'x': 1, 'gate': sys.argv[1]}, run_id='one')",
        held.path,
    )
    held.reached()
    second = project.spawn("-c", SECOND)
    eventually(lambda: project.store.exists("runs/two/beat"), "the second run")
    try:
        assert "run one" in told(project.store, "two", "held")[1]
    finally:
        held.open()
        project.finish(first)
        project.finish(second)


def test_R4_after_a_resume_with_changed_code_it_tells_of_the_code_that_ran(write_module, memory):
    source = SOURCE.replace('"1"', '"code"').replace(
        "    return x\n\n@w", "    return x if x > 1 else int('broken')\n\n@w"
    )
    run(write_module("flow", source).flow, {"x": 1}, store=memory, run_id="one", echo=False)
    repaired = write_module("flow", source.replace("int('broken')", "7"))
    assert resume("one", store=memory, target=repaired.flow, echo=False).result == 7
    assert "of run one" not in told(memory, "one", "work")[1], "it does not differ from itself"


@pytest.mark.parametrize("path", ["nothing", "main/work/deeper", "main", "", "#9.9"])
def test_R4_a_path_that_is_not_there_says_what_is(memory, path):
    run(work, {"x": 1}, store=memory, run_id="one", echo=False)
    with pytest.raises(RunNotFound) as caught:
        explain(memory, "one", path)
    assert len(str(caught.value)) > 20


def test_R4_a_run_that_is_not_there_says_so(memory):
    with pytest.raises(RunNotFound, match="no run"):
        explain(memory, "nothing", "work")


def test_R4_it_reads_and_changes_nothing(tmp_path):
    store = Store(tmp_path / "store")
    run(failing, {"x": 1}, store=store, run_id="one", echo=False, durability="process")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for name in ("plain", "breaks", "plain~2", "work"):
        explain(store, "one", name)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
