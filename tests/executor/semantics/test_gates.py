"""G1: nodes that wait without holding a worker: `sleep`, `wait_for_input`, `approve`.

They are answered from anywhere, and survive a restart.
"""

import os
import threading
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta

import pytest

from promissory import (
    FailurePolicy,
    NodeFailure,
    Plan,
    Workflow,
    approve,
    attach,
    conditional,
    dynamic,
    map_task,
    promise,
    resume,
    run,
    sleep,
    start,
    task,
    wait_for_input,
    workflow,
)
from promissory.errors import CompileError, GateError, GateNotFound, GateTimeout, PromiseError, Rejected, RunIsNotLive
from promissory.executor.execution import answers
from promissory.testing import MockClock, always_replay

ENGINES = ["inline", "threads", "processes"]


@pytest.fixture(params=ENGINES)
def engine(request):
    """Each engine in turn."""
    return request.param


def note(diary, *what):
    """A line, whole even if other processes write at the same time."""
    descriptor = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (" ".join(map(str, what)) + "\n").encode())
    os.close(descriptor)


def lines(diary):
    return diary.read_text().splitlines() if diary.exists() else []


@dataclass
class Order:
    """What somebody may be asked for."""

    item: str
    count: int = 1


@task
def make(x: int) -> int:
    return x


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def told(err: NodeFailure) -> int:
    return len(err.type)


def carry(target, store, *, engine="inline", clock=None, replays=True, **inputs):
    """A run to its end, whose journal is replayed after every round."""
    with always_replay() if replays else nullcontext():
        return run(target, inputs, store=store, engine=engine, clock=clock, durability="process", echo=False)


def begin(target, store, *, engine="inline", **options):
    return start(
        target, options.pop("inputs", None), store=store, engine=engine, durability="process", echo=False, **options
    )


def states(ended):
    return {row.path: row.state for row in ended.nodes()}


@workflow
def ask_age() -> int:
    return add(wait_for_input("age", type=int), 1)


@workflow
def release(x: int) -> int:
    return add(approve(make(x), "release"), 100)


# --- sleep ---


def test_G1_a_sleep_ends_after_its_time_and_what_follows_starts_then(store, diary):
    clock = MockClock()

    @task
    def when() -> float:
        return clock.monotonic()

    @workflow
    def flow() -> float:
        later = when()
        promise(sleep(3600)) >> later
        return later

    assert carry(flow, store, clock=clock).result == pytest.approx(3600)


def test_G1_sleep_takes_a_timedelta_and_a_promise(store, engine):
    @workflow
    def flow(n: int) -> int:
        end = make(3)
        promise(sleep(timedelta(days=1))) >> promise(sleep(make(n))) >> end
        return end

    clock = MockClock()
    assert carry(flow, store, engine=engine, clock=clock, n=60).result == 3
    assert clock.monotonic() == pytest.approx(86_460, abs=1)


def test_G1_a_sleep_of_centuries_begins_to_wait(store, eventually):
    @workflow
    def flow() -> None:
        sleep(timedelta(days=365 * 1000))

    waiting = begin(flow, store)
    eventually(lambda: "WAITING" in states(attach(waiting.id, store=store)).values(), "the sleep")
    waiting.cancel()
    assert waiting.wait(60).state == "CANCELLED"


def test_G1_two_sleeps_side_by_side_take_as_long_as_the_longer(store):
    @workflow
    def flow() -> None:
        sleep(100)
        sleep(70)
        sleep(0)

    clock = MockClock()
    assert carry(flow, store, clock=clock).state == "SUCCEEDED"
    assert clock.monotonic() == pytest.approx(100)


def test_G1_a_sleep_of_a_promise_below_zero_is_over_at_once_or_fails_by_name(store):
    @workflow
    def flow(n: int) -> None:
        sleep(make(n))

    ended = carry(flow, store, clock=MockClock(), n=-5)
    assert ended.state in ("SUCCEEDED", "FAILED")


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_G1_a_sleep_of_a_promise_that_is_no_duration_fails_by_name(store, number):
    """A value from a task is as bad as one in the source: the node fails and names it; nothing crashes or sleeps for
    ever.
    """

    @task
    def odd(text: str) -> float:
        return float(text)

    @workflow
    def flow() -> None:
        sleep(odd(number))

    ended = carry(flow, store, clock=MockClock())
    assert (ended.state, ended.error.path) == ("FAILED", "main/sleep")


@pytest.mark.parametrize("duration", [-1, float("nan"), float("inf"), "1h", None, True, timedelta(seconds=-1)])
def test_G1_what_is_no_duration_is_refused_at_compile(duration):
    @workflow
    def flow() -> None:
        sleep(duration)

    with pytest.raises(GateError, match="no duration") as caught:
        flow.compile()
    assert __file__ in str(caught.value)


def test_G1_gates_outside_a_workflow_are_refused_with_the_way_out():
    with pytest.raises(PromiseError, match=r"time\.sleep"):
        sleep(1)
    with pytest.raises(PromiseError, match=r"input\(\)"):
        wait_for_input("x")
    with pytest.raises(PromiseError, match=r"no.*being traced"):
        approve(1, "x")


def test_G1_a_gate_in_the_body_of_a_task_is_refused(store):
    @task
    def body() -> int:
        sleep(1)
        return 1

    ended = carry(body, store)
    assert isinstance(ended.error.__cause__, PromiseError)


def test_G1_sleeps_in_dynamics_maps_and_arms(store, engine):
    @workflow
    def nap(n: int) -> int:
        end = make(n)
        promise(sleep(10)) >> end
        return end

    @dynamic
    def naps(n: int) -> int:
        return add(nap(n), naps(n - 1)) if n else nap(0)

    @workflow
    def flow(n: int) -> list[list[int]]:
        arm = conditional("arm").if_(n > 0).then(nap(n)).else_().then(0)
        return [map_task(nap)(n=[1, 2, 3]), [naps(2), arm]]

    clock = MockClock()
    assert carry(flow, store, engine=engine, clock=clock, n=5).result == [[1, 2, 3], [3, 5]]
    assert clock.monotonic() < 60


# --- answers ---


def test_G1_an_answer_from_this_process(store, engine):
    waiting = begin(ask_age, store, engine=engine)
    waiting.answer("age", 41)
    assert waiting.wait(60).result == 42


def test_G1_an_answer_by_another_handle(store):
    waiting = begin(ask_age, store)
    attach(waiting.id, store=store).answer("age", 9)
    assert waiting.wait(60).result == 10


def test_G1_an_answer_by_the_path(store):
    waiting = begin(ask_age, store)
    waiting.answer("main/age", 1)
    assert waiting.wait(60).result == 2


def test_G1_a_gate_waits_and_says_so(store, eventually):
    waiting = begin(ask_age, store)
    seen = attach(waiting.id, store=store)
    eventually(lambda: states(seen).get("main/age") == "WAITING", "the gate")
    assert (states(seen)["main/add"], seen.state) == ("PENDING", "RUNNING")
    waiting.answer("age", 1)
    assert states(waiting.wait(60)) == {"main/age": "SUCCEEDED", "main/add": "SUCCEEDED"}


def test_G1_an_answer_may_be_anything_that_the_type_says(store):
    @workflow
    def flow() -> list[Order]:
        return wait_for_input("orders", type=list[Order])

    waiting = begin(flow, store)
    waiting.answer("orders", [Order("pear", 3), Order("plum")])
    assert waiting.wait(60).result == [Order("pear", 3), Order("plum")]


def test_G1_an_answer_may_be_large(store):
    @workflow
    def flow() -> str:
        return wait_for_input("text")

    waiting = begin(flow, store)
    waiting.answer("text", "x" * 300_000)
    assert waiting.wait(60).result == "x" * 300_000


def test_G1_none_is_an_answer_where_the_type_allows_it(store):
    @workflow
    def flow() -> int | None:
        return wait_for_input("maybe", type=int | None)

    waiting = begin(flow, store)
    waiting.answer("maybe", None)
    assert waiting.wait(60).result is None


def test_G1_an_answer_of_another_type_is_refused_and_the_gate_goes_on_waiting(store):
    waiting = begin(ask_age, store)
    for wrong in ("41", 4.5, None, [1]):
        with pytest.raises(TypeError, match=r"main/age wants int"):
            waiting.answer("age", wrong)
    waiting.answer("age", 1)
    assert waiting.wait(60).result == 2


@pytest.fixture
def at_rest(monkeypatch, eventually):
    """A function that waits until a run is at its gates; then gates that are not there are not waited for."""

    def rest(run, gates=1):
        eventually(lambda: list(states(run).values()).count("WAITING") >= gates, "the gates")
        monkeypatch.setattr(answers, "_SOON", 0.0)

    return rest


def test_G1_an_unknown_gate_is_refused_with_those_that_wait(store, at_rest):
    waiting = begin(ask_age, store)
    at_rest(waiting)
    with pytest.raises(GateNotFound, match=r"'agee'.*main/age \(int\)"):
        waiting.answer("agee", 1)
    waiting.answer("age", 1)
    waiting.wait(60)


def test_G1_a_sleep_takes_no_answer(store, at_rest):
    @workflow
    def flow() -> None:
        sleep(20)
        wait_for_input("go")

    waiting = begin(flow, store)
    at_rest(waiting, 2)
    with pytest.raises(GateNotFound, match="go"):
        waiting.answer("sleep", 1)
    waiting.cancel()
    waiting.wait(60)


def test_G1_a_run_that_has_ended_takes_no_answer(store):
    waiting = begin(ask_age, store)
    waiting.answer("age", 1)
    waiting.wait(60)
    with pytest.raises(RunIsNotLive, match="has ended: SUCCEEDED"):
        waiting.answer("age", 2)


def test_G1_a_gate_takes_one_answer(store, at_rest):
    @workflow
    def flow() -> list[int]:
        return [wait_for_input("one", type=int), wait_for_input("two", type=int)]

    waiting = begin(flow, store)
    at_rest(waiting, 2)
    waiting.answer("one", 1)
    with pytest.raises(GateNotFound, match="main/two"):
        waiting.answer("one", 2)
    waiting.answer("two", 2)
    assert waiting.wait(60).result == [1, 2]


def test_G1_gates_of_one_name_in_a_map_are_answered_by_their_paths(store, eventually):
    @workflow
    def one(n: int) -> int:
        return add(wait_for_input("how many", type=int), n)

    @workflow
    def flow(ns: list[int]) -> list[int]:
        return map_task(one)(n=ns)

    waiting = begin(flow, store, inputs={"ns": [10, 20, 30]})
    eventually(lambda: [row.state for row in waiting.nodes(items=True)].count("WAITING") == 3, "three gates")
    with pytest.raises(
        GateNotFound, match=r"3 gates .* called how many: .*main/one\[[012]\]/how many, main/one\[[012]\]/how many"
    ):
        waiting.answer("how many", 1)
    for k in (2, 0, 1):
        waiting.answer(f"main/one[{k}]/how many", k)
    assert waiting.wait(60).result == [10, 21, 32]


def test_G1_two_gates_of_one_name_in_one_workflow_are_refused_at_compile():
    @workflow
    def flow() -> list[str]:
        return [wait_for_input("name"), wait_for_input("name")]

    with pytest.raises(CompileError, match="name"):
        flow.compile()


@pytest.mark.parametrize("name", ["", "a/b", "a~2", 3, None])
def test_G1_a_name_that_no_answer_could_say_is_refused(name):
    @workflow
    def flow() -> str:
        return wait_for_input(name)

    with pytest.raises(GateError, match="name"):
        flow.compile()


def test_G1_a_type_that_no_task_could_have_is_refused():
    @workflow
    def flow() -> int:
        return wait_for_input("x", type=3)

    with pytest.raises(GateError, match="wait_for_input"):
        flow.compile()


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), "soon", True])
def test_G1_what_is_no_time_out_is_refused(timeout):
    @workflow
    def flow() -> str:
        return wait_for_input("x", timeout=timeout)

    with pytest.raises(GateError, match="time-out"):
        flow.compile()


def test_G1_a_gate_is_typed_at_compile():
    @workflow
    def flow() -> int:
        return add(wait_for_input("x", type=str), 1)

    with pytest.raises(CompileError, match=r"add\(a=…\) wants int"):
        flow.compile()


# --- approve ---


def test_G1_what_is_approved_goes_on_with_its_value(store, engine):
    waiting = begin(release, store, engine=engine, inputs={"x": 5})
    waiting.answer("release", True)
    assert waiting.wait(60).result == 105


def test_G1_what_is_rejected_fails_and_says_by_whom(store):
    waiting = begin(release, store, inputs={"x": 5})
    waiting.answer("release", False)
    ended = waiting.wait(60)
    assert (ended.state, ended.error.path) == ("FAILED", "main/release")
    assert isinstance(ended.error.__cause__, Rejected)
    assert f"process {os.getpid()}" in str(ended.error)
    assert states(ended) == {"main/make": "SUCCEEDED", "main/release": "FAILED", "main/add": "UPSTREAM_FAILED"}


def test_G1_an_approval_is_yes_or_no(store):
    waiting = begin(release, store, inputs={"x": 5})
    for wrong in ("yes", 1, 5, None):
        with pytest.raises(TypeError, match="main/release wants bool"):
            waiting.answer("release", wrong)
    waiting.answer("release", True)
    waiting.wait(60)


def test_G1_a_rejection_can_be_handled(store):
    @workflow
    def flow(x: int) -> int:
        return promise(approve(make(x), "release")).on_error(told)

    waiting = begin(flow, store, inputs={"x": 1})
    waiting.answer("release", False)
    assert waiting.wait(60).result == len("Rejected")


def test_G1_a_rejected_run_asks_again_when_it_is_resumed(store, eventually):
    waiting = begin(release, store, inputs={"x": 5})
    waiting.answer("release", False)
    assert waiting.wait(60).state == "FAILED"
    resumed = []
    thread = threading.Thread(
        target=lambda: resumed.append(resume(waiting.id, store=store, durability="process", echo=False))
    )
    thread.start()
    there = attach(waiting.id, store=store)
    eventually(lambda: there.state == "RUNNING", "the new executor")
    there.answer("release", True)
    thread.join(60)
    assert resumed[0].result == 105


def test_G1_an_input_of_the_workflow_can_be_approved(store):
    """Flyte refuses that."""

    @workflow
    def flow(x: int) -> int:
        return approve(x, "ok")

    waiting = begin(flow, store, inputs={"x": 3})
    waiting.answer("ok", True)
    assert waiting.wait(60).result == 3


def test_G1_what_is_known_needs_no_approval():
    @workflow
    def flow() -> int:
        return approve(3, "ok")

    with pytest.raises(GateError, match="known already"):
        flow.compile()


def test_G1_what_failed_is_not_put_up_for_approval(store):
    @task
    def boom() -> int:
        raise ValueError("no")

    @workflow
    def flow() -> int:
        return approve(boom(), "ok")

    ended = carry(flow, store)
    assert (ended.state, states(ended)["main/ok"]) == ("FAILED", "UPSTREAM_FAILED")


# --- time-outs ---


def test_G1_a_gate_that_nobody_answers_in_time_fails_and_says_how_to_answer(store):
    @workflow
    def flow() -> int:
        return add(wait_for_input("age", timeout=timedelta(minutes=10), type=int), 1)

    clock = MockClock()
    ended = carry(flow, store, clock=clock)
    assert (ended.state, ended.error.path) == ("FAILED", "main/age")
    assert isinstance(ended.error.__cause__, GateTimeout)
    assert isinstance(ended.error.__cause__, TimeoutError)
    assert "600 s" in str(ended.error)
    assert "promissory answer" in str(ended.error)
    assert clock.monotonic() == pytest.approx(600)


def test_G1_an_approval_has_a_time_out_too(store):
    @workflow
    def flow() -> int:
        return promise(approve(make(1), "ok", timeout=30)).on_error(-1)

    clock = MockClock()
    assert carry(flow, store, clock=clock).result == -1
    assert clock.monotonic() == pytest.approx(30)


def test_G1_a_time_out_that_is_answered_in_time_does_nothing_later(store):
    @workflow
    def flow() -> int:
        return wait_for_input("age", timeout=3600, type=int)

    waiting = begin(flow, store)
    waiting.answer("age", 7)
    assert waiting.wait(60).result == 7


def test_G1_a_gate_that_was_late_waits_its_whole_time_again_after_resume(store):
    @workflow
    def flow() -> int:
        return wait_for_input("age", timeout=600, type=int)

    ended = carry(flow, store, clock=MockClock())
    assert ended.state == "FAILED"
    clock = MockClock()
    with always_replay():
        assert resume(ended.id, store=store, clock=clock, durability="process", echo=False).state == "FAILED"
    assert clock.monotonic() == pytest.approx(600)


def test_G1_the_run_goes_on_beside_a_gate_and_fails_only_by_policy(store, diary):
    @task
    def step(name: str) -> None:
        note(diary, name)

    @workflow(failure_policy=FailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
    def flow() -> None:
        wait_for_input("never", timeout=5)
        an_hour = promise(sleep(3600))
        an_hour >> step("an hour later")

    ended = carry(flow, store, clock=MockClock())
    assert (ended.state, lines(diary)) == ("FAILED", ["an hour later"])


def test_G1_a_failure_beside_a_gate_that_waits_ends_the_run_at_once(store):
    @task
    def boom() -> int:
        raise ValueError("no")

    @workflow
    def flow() -> None:
        wait_for_input("never")
        boom()

    ended = carry(flow, store)
    assert (ended.state, ended.error.path) == ("FAILED", "main/boom")
    assert states(ended)["main/never"] == "CANCELLED"


# --- no worker ---


def test_G1_a_gate_holds_no_worker(store, diary, eventually):
    """Ten gates and one worker: everything else goes on."""

    @task
    def step(k: int) -> int:
        note(diary, k)
        return k

    @workflow
    def flow() -> list[int]:
        answers = [wait_for_input(f"q{k}", type=int) for k in range(10)]
        return [*answers, step(step(step(1)))]

    waiting = begin(flow, store, engine="processes", max_parallelism=1)
    eventually(lambda: len(lines(diary)) == 3, "the other work")
    eventually(lambda: Counter(states(attach(waiting.id, store=store)).values())["WAITING"] == 10, "ten gates")
    waiting.cancel()
    assert waiting.wait(60).state == "CANCELLED"


@pytest.mark.parametrize("what", ["input", "sleep"])
def test_G1_a_gate_begins_to_wait_though_every_worker_is_busy(store, gate, eventually, what):
    """It needs no worker, so it waits for none: its time runs, and it can be answered, from the moment that it is
    ready.
    """
    door = gate("door")
    path = door.path

    @task
    def long(k: int) -> None:
        if k == 0:
            with open(path) as waits:
                waits.read()

    @workflow
    def flow() -> None:
        for k in range(1_000):
            long(k)
        if what == "input":
            wait_for_input("go")
        else:
            sleep(1000)

    waiting = begin(flow, store, engine="processes", max_parallelism=1)
    door.reached()
    eventually(lambda: "RUNNING" in states(attach(waiting.id, store=store)).values(), "word of the body")
    here = "main/go" if what == "input" else "main/sleep"
    eventually(
        lambda: states(attach(waiting.id, store=store))[here] == "WAITING", "word of the gate, while the body runs"
    )
    waiting.cancel()
    door.open()
    waiting.wait(60)


def test_G1_a_gate_that_waits_costs_no_time_of_a_processor(store, eventually):
    waiting = begin(ask_age, store)
    eventually(lambda: "WAITING" in states(attach(waiting.id, store=store)).values(), "the gate")
    assert attach(waiting.id, store=store).state == "RUNNING"
    waiting.cancel()
    ended = waiting.wait(60)
    assert (ended.state, states(ended)["main/age"]) == ("CANCELLED", "CANCELLED")


def test_G1_a_paused_run_takes_an_answer_and_goes_on_when_it_may(store, eventually):
    waiting = begin(ask_age, store)
    eventually(lambda: "WAITING" in states(attach(waiting.id, store=store)).values(), "the gate")
    waiting.pause()
    waiting.answer("age", 4)
    waiting.unpause()
    assert waiting.wait(60).result == 5


# --- other processes, and the command line ---

MODULE = """
import os
from promissory import promise, sleep, task, wait_for_input, approve, workflow

def note(what):
    descriptor = os.open("diary", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{what}\\n".encode())
    os.close(descriptor)

@task
def make() -> int:
    note("make")
    return 5

@task
def add(a: int, b: int) -> int:
    note(f"add {a} {b}")
    return a + b

@workflow
def both() -> int:
    age = wait_for_input("age", type=int)
    return add(age, approve(make(), "release"))

@workflow
def nap() -> int:
    first = make()
    rest = promise(sleep(100))
    first >> rest
    last = add(1, 1)
    rest >> last
    return last
"""


def command(project, *arguments):
    """What the command line says: exit code, output, errors."""
    process = project.spawn(
        "-c", "import sys\nfrom promissory.executor.cli.main import main\nmain(sys.argv[1:])", *arguments
    )
    output, errors = project.finish(process)
    return process.returncode, output, errors


def waiting_run(project, eventually, engine="inline"):
    """A run of `both` in another process, which waits at both of its gates."""
    project.write("gated.py", MODULE)
    process = project.spawn(
        "-c",
        "from promissory import run\n"
        "from gated import both\n"
        f"print(run(both, run_id='gated', engine={engine!r}, echo=False).result)",
    )
    eventually(lambda: project.lines("diary"), "the run")
    eventually(lambda: list(states(attach("gated", store=project.store)).values()).count("WAITING") == 2, "both gates")
    return process


def test_G1_answers_come_from_other_processes(project, eventually):
    process = waiting_run(project, eventually, "processes")
    there = attach("gated", store=project.store)
    there.answer("age", 30)
    there.answer("release", True)
    output, errors = project.finish(process)
    assert output.split() == ["35"], errors


def test_G1_answers_come_from_the_command_line(project, eventually):
    process = waiting_run(project, eventually)
    code, output, _ = command(project, "answer", "gated")
    assert (code, sorted(output.splitlines())) == (0, ["main/age: int", "main/release: bool"])
    assert command(project, "answer", "gated", "age", "30")[0] == 0
    assert command(project, "answer", "gated", "release", "yes")[0] == 0
    output, errors = project.finish(process)
    assert output.split() == ["35"], errors


@pytest.mark.full
def test_G1_the_command_line_refuses_what_does_not_fit_and_says_what_does(project, eventually):
    process = waiting_run(project, eventually)
    code, _, errors = command(project, "answer", "gated", "age", "old")
    assert code == 2
    assert "main/age wants int" in errors
    code, _, errors = command(project, "answer", "gated", "agee", "3")
    assert code == 2
    assert "main/age (int)" in errors
    assert process.poll() is None
    process.kill()


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_G1_killed_while_it_waits_a_resume_waits_on_and_runs_nothing_again(project, eventually, engine):
    process = waiting_run(project, eventually, engine)
    process.kill()
    process.wait()
    again = project.spawn(
        "-c", f"from promissory import resume\nprint(resume('gated', engine={engine!r}, echo=False).result)"
    )
    there = attach("gated", store=project.store)
    eventually(lambda: there.state == "RUNNING", "the new executor")
    there.answer("age", 1)
    there.answer("release", True)
    output, errors = project.finish(again)
    assert output.split() == ["6"], errors
    assert project.lines("diary") == ["make", "add 1 5"]


def test_G1_an_answer_to_an_interrupted_run_is_taken_at_resume(project, eventually):
    process = waiting_run(project, eventually)
    process.kill()
    process.wait()
    there = attach("gated", store=project.store)
    eventually(lambda: there.state == "INTERRUPTED", "that nobody works on it")
    there.answer("age", 2)
    code, _, errors = command(project, "answer", "gated", "release", "true")
    assert (code, "resume" in errors) == (0, True)
    assert project.code("from promissory import resume\nprint(resume('gated', echo=False).result)").split() == ["7"]


def test_G1_an_answer_that_was_committed_is_not_asked_for_again_after_a_kill(project, eventually):
    process = waiting_run(project, eventually)
    attach("gated", store=project.store).answer("age", 11)
    process.kill()
    process.wait()
    there = attach("gated", store=project.store)
    assert states(there)["main/age"] == "SUCCEEDED"
    eventually(lambda: there.state == "INTERRUPTED", "that nobody works on it")
    there.answer("release", True)
    assert project.code("from promissory import resume\nprint(resume('gated', echo=False).result)").split() == ["16"]


def test_G1_a_sleep_that_was_killed_goes_on_with_the_rest_of_its_time(project, eventually):
    project.write("gated.py", MODULE)
    process = project.spawn(
        "-c", "from promissory import run\nfrom gated import nap\nrun(nap, run_id='nap', echo=False)"
    )
    eventually(lambda: project.lines("diary"), "the first task")
    eventually(lambda: states(attach("nap", store=project.store)).get("main/sleep") == "WAITING", "the sleep")
    process.kill()
    process.wait()
    told = project.code(
        """
        import time
        from promissory import resume
        from promissory.testing import MockClock
        clock = MockClock(time.time() + 40)
        print(resume("nap", clock=clock, echo=False).result, round(clock.monotonic()))
        """
    )
    result, slept = told.split()
    assert result == "2"
    assert 50 <= int(slept) <= 61
    assert project.lines("diary") == ["make", "add 1 1"]


def test_G1_a_sleep_that_ended_while_nobody_worked_is_over_at_resume(project, eventually):
    project.write("gated.py", MODULE)
    process = project.spawn(
        "-c", "from promissory import run\nfrom gated import nap\nrun(nap, run_id='nap', echo=False)"
    )
    eventually(lambda: project.lines("diary"), "the first task")
    eventually(lambda: states(attach("nap", store=project.store)).get("main/sleep") == "WAITING", "the sleep")
    process.kill()
    process.wait()
    told = project.code(
        """
        import time
        from promissory import resume
        from promissory.testing import MockClock
        clock = MockClock(time.time() + 1000)
        print(resume("nap", clock=clock, echo=False).result, round(clock.monotonic()))
        """
    )
    assert told.split() == ["2", "0"]


# --- in every frame ---


def test_G1_gates_in_dynamics_are_found_by_name_and_path(store):
    @dynamic
    def ask(n: int) -> int:
        return add(wait_for_input(f"q{n}", type=int), ask(n - 1)) if n else make(0)

    waiting = begin(ask, store, inputs={"n": 3})
    waiting.answer("q1", 1)
    waiting.answer("q3", 3)
    waiting.answer("q2", 2)
    assert waiting.wait(60).result == 6


def test_G1_a_gate_in_an_arm_that_is_not_taken_never_waits(store):
    @workflow
    def flow(n: int) -> int:
        return conditional("arm").if_(n > 0).then(wait_for_input("n", type=int)).else_().then(0)

    assert carry(flow, store, n=0).result == 0


def test_G1_a_gate_may_come_after_another_node(store, eventually, monkeypatch):
    @workflow
    def flow() -> int:
        go = wait_for_input("go", type=int)
        first = promise(wait_for_input("first", type=int))
        first >> promise(go)
        return go

    waiting = begin(flow, store)
    with monkeypatch.context() as here:
        eventually(lambda: "WAITING" in states(waiting).values(), "the first gate")
        here.setattr(answers, "_SOON", 0.0)
        with pytest.raises(GateNotFound):
            waiting.answer("go", 1)
    waiting.answer("first", 1)
    waiting.answer("go", 2)
    assert waiting.wait(60).result == 2


def test_G1_gates_are_in_the_plan_which_reads_back_the_same():
    @workflow
    def flow() -> int:
        promise(sleep(5))
        return approve(wait_for_input("n", timeout=60, type=int), "ok")

    plan = flow.compile()
    assert Plan.from_bytes(plan.to_bytes()).to_bytes() == plan.to_bytes()
    for word in ("sleep", "wait_for_input", "approve"):
        assert word in str(plan)


def test_G1_a_workflow_built_by_hand_may_have_gates(store):
    with Workflow("by hand") as flow:
        flow.add_workflow_output("out", wait_for_input("n", type=int))
    waiting = begin(flow, store)
    waiting.answer("n", 3)
    assert waiting.wait(60).result == 3


def test_G1_a_map_of_sleeps_is_woken_in_order(store, diary):
    @task
    def ring(n: int) -> int:
        note(diary, n)
        return n

    @workflow
    def alarm(n: int) -> int:
        bell = ring(n)
        promise(sleep(n)) >> bell
        return bell

    @workflow
    def flow(ns: list[int]) -> list[int]:
        return map_task(alarm)(n=ns)

    assert carry(flow, store, clock=MockClock(), ns=[300, 100, 200]).result == [300, 100, 200]
    assert lines(diary) == ["100", "200", "300"]
