"""J3, X8: what another process asks of a run (pause, unpause, stop, cancel) is done once it is acknowledged, on every
engine; and a run can be looked at from anywhere.
"""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from promissory import Store, attach, dynamic, resume, run, start, task, workflow
from promissory.errors import RunCancelled, RunFailed, RunInterrupted, RunIsLive, RunIsNotLive, RunNotFound
from promissory.executor.history.history import History
from promissory.executor.protocol.events import ENDED, NODE_DONE, PAUSED, UNPAUSED
from promissory.executor.records.heartbeat import read_beat
from promissory.executor.records.inbox import Command, command_to_bytes, send, tell, waiting
from promissory.executor.store.keys import inbox_key
from promissory.testing import Crashed, MockClock, crash_at

ENGINES = ("inline", "threads", "processes")
LONG = 3000

MODULE = f"""
import os, threading
from promissory import dynamic, task, workflow

def began(what):
    with open("started", "a") as file:
        file.write(f"{{what}}\\n")

@task
def step(x: int) -> int:
    began(x)
    if os.path.exists("slow"):
        threading.Event().wait(0.002)
    return x + 1

@workflow
def chain(x: int) -> int:
    for _ in range({LONG}):
        x = step(x)
    return x

@task
def first(x: int) -> int:
    began("first")
    return x + 1

@task
def wait(x: int) -> int:
    began(f"wait {{os.getpid()}}")
    open(os.environ["GATE"]).read()
    return x + 1

@task
def last(x: int) -> int:
    began("last")
    return x + 1

@task
def broken(x: int) -> int:
    raise ValueError("it is broken")

@workflow
def held(x: int) -> int:
    return last(wait(first(x)))

@workflow
def fails(x: int) -> int:
    return broken(wait(x))
"""

RUN = """
import sys
import promissory, told
if __name__ == "__main__":
    name, engine = sys.argv[1:3]
    how = {"engine": engine, "max_parallelism": 2, "durability": "process"}
    ended = promissory.run(getattr(told, name), {"x": 0}, run_id="told", **how)
    print(ended.state, ended.reason)
"""


@pytest.fixture
def begin(project, eventually, events_of):
    """A function (workflow, engine, environment…) → the process that works on the run "told" of it."""
    project.write("told.py", MODULE)
    project.write("go.py", RUN)
    project.write("slow", "")

    def begin(name="chain", engine="inline", **environment):
        process = project.spawn("go.py", name, engine, **environment)
        if name == "chain":
            eventually(lambda: len(project.lines("started")) > 2, "the first bodies")
        return process

    return begin


def carried_on(project):
    """What a resume in another process gives, at full speed."""
    (project.folder / "slow").unlink()
    return project.code(
        'import promissory; print(promissory.resume("told", engine="threads", durability="process").result)'
    )


@pytest.fixture
def there(project):
    """The run that another process works on."""
    return lambda: attach("told", store=project.store)


def kinds(events):
    return [event[0] for event in events]


# --- every engine ---


@pytest.mark.parametrize("engine", ENGINES)
def test_X8_a_paused_run_starts_nothing_until_it_is_unpaused_and_a_cancelled_one_ends(
    project, begin, there, engine, events_of
):
    process = begin(engine=engine)
    handle = there()
    handle.pause("lunch")
    assert History(project.store, "told").state == "PAUSED"
    handle.pause("lunch again")  # obeyed, and nothing to do
    started = len(project.lines("started"))
    handle.unpause()
    assert History(project.store, "told").state == "RUNNING"
    handle.cancel("enough")
    assert project.finish(process)[0] == "CANCELLED enough\n"
    events = events_of(project.store, "told")
    while_paused = events[kinds(events).index(PAUSED) : kinds(events).index(UNPAUSED)]
    assert kinds(events).count(PAUSED) == kinds(events).count(UNPAUSED) == 1
    assert kinds(while_paused).count(NODE_DONE) <= 2, "what ran may finish, nothing else starts"
    assert started <= kinds(events[: kinds(events).index(UNPAUSED)]).count(NODE_DONE) + 2
    assert (handle.state, handle.reason) == ("CANCELLED", "enough")
    with pytest.raises(RunCancelled, match="run told was cancelled: enough"):
        handle.result


@pytest.mark.parametrize("engine", ENGINES)
def test_X8_a_stopped_run_is_interrupted_and_its_resume_runs_nothing_twice(project, begin, there, engine, events_of):
    process = begin(engine=engine)
    there().stop("going home")
    assert project.finish(process)[0] == "INTERRUPTED going home\n"
    assert there().state == "INTERRUPTED"
    before = project.lines("started")
    assert kinds(events_of(project.store, "told")).count(NODE_DONE) == len(before) < LONG, (
        "all that had begun is finished and committed"
    )
    assert carried_on(project) == f"{LONG}\n"
    assert project.lines("started") == [str(number) for number in range(LONG)]


class Recording(Store):
    """A store that remembers which commands were acknowledged, and what the last beat said when they were."""

    def delete(self, key):
        if "/inbox/" in key:
            beat = read_beat(self, key.split("/")[1])
            acknowledged.append(beat.over or not beat.is_live(self, key.split("/")[1]))
        super().delete(key)


acknowledged = []


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("command", ["stop", "cancel"])
def test_X8_a_run_whose_end_is_acknowledged_is_free_for_a_resume(tmp_path, command):
    store = Recording(tmp_path)
    going = start(nested, {"x": 0}, store=store, engine="threads", durability="process")
    assert inside.wait(60)
    attach(going.id, store=store).pause()
    acknowledged.clear()
    send(store, going.id, command)
    go_on.set()
    going.wait(60)
    assert acknowledged == [True]


@pytest.mark.full
def test_X8_cancel_stops_long_bodies_of_processes_at_once_and_only_those_of_its_run(
    project, begin, there, gate, tmp_path, eventually
):
    held, other = gate("held"), gate("other")
    process = begin("held", "processes", GATE=held.path)
    held.reached()
    project.write("other.py", RUN.replace('run_id="told"', 'run_id="other"'))
    neighbour = project.spawn("other.py", "held", "processes", GATE=other.path)
    other.reached()
    pids = [int(line.split()[1]) for line in project.lines("started") if line.startswith("wait")]
    there().cancel("too long")
    assert project.finish(process)[0] == "CANCELLED too long\n"
    eventually(lambda: not Path(f"/proc/{pids[0]}").exists(), "the end of the body's process")
    assert Path(f"/proc/{pids[1]}").exists(), "a run beside it is not touched"
    other.open()
    assert project.finish(neighbour)[0] == "SUCCEEDED \n"
    states = {row.path: row.state for row in there().nodes()}
    assert states == {"main/first": "SUCCEEDED", "main/wait": "CANCELLED", "main/last": "CANCELLED"}


@pytest.mark.full
def test_X8_stop_lets_a_body_finish_and_keeps_its_result(project, begin, there, gate):
    held = gate("held")
    process = begin("held", "processes", GATE=held.path)
    held.reached()
    there().pause()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(there().stop)
        held.open()
        asked.result(60)
    assert project.finish(process)[0] == "INTERRUPTED stopped by its owner\n"
    assert {row.path: row.state for row in there().nodes()} == {
        "main/first": "SUCCEEDED",
        "main/wait": "SUCCEEDED",
        "main/last": "READY",
    }


# --- several, and wrong ones ---


@pytest.mark.full
def test_J3_several_commands_at_one_time_are_all_obeyed_in_the_order_in_which_they_were_sent(
    project, begin, there, events_of
):
    process = begin()
    for command in ("pause", "unpause", "pause", "unpause", "cancel"):
        send(project.store, "told", command, command)
    assert project.finish(process)[0] == "CANCELLED cancel\n"
    assert [kind for kind in kinds(events_of(project.store, "told")) if kind in (PAUSED, UNPAUSED, ENDED)] == [
        PAUSED,
        UNPAUSED,
        PAUSED,
        UNPAUSED,
        ENDED,
    ]
    assert waiting(project.store, "told") == []


@pytest.mark.full
def test_J3_many_processes_that_ask_for_the_same_are_all_answered(project, begin, there):
    process = begin(engine="threads")
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(there().pause) for _ in range(8)]
        for one in asked:
            one.result(60)
    assert History(project.store, "told").state == "PAUSED"
    there().stop()
    assert project.finish(process)[0].startswith("INTERRUPTED")


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("end", ["stop", "cancel"])
def test_X8_a_paused_run_can_be_ended(project, begin, there, end):
    process = begin()
    there().pause()
    getattr(there(), end)("over")
    assert project.finish(process)[0] == f"{'INTERRUPTED' if end == 'stop' else 'CANCELLED'} over\n"


@pytest.mark.full
def test_X8_a_pause_does_not_outlive_its_executor(project, begin, there):
    process = begin()
    there().pause()
    process.kill()
    process.wait()
    assert there().state == History(project.store, "told").state == "INTERRUPTED"
    assert carried_on(project) == f"{LONG}\n"
    assert there().state == "SUCCEEDED"


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("command", ["pause", "unpause", "stop", "cancel"])
def test_J3_a_run_that_nobody_works_on_is_told_nothing(store, command):
    ended = run(flow, {"x": 1}, store=store)
    with pytest.raises(RunIsNotLive, match=f"nobody works on run {ended.id}, so there is nobody to {command} it"):
        getattr(attach(ended.id, store=store), command)()
    assert waiting(store, ended.id) == []


def test_J3_an_unknown_run_can_not_be_attached(store):
    with pytest.raises(RunNotFound, match=r"no run 'nobody' in the store .*promissory runs"):
        attach("nobody", store=store)


@pytest.mark.parametrize("command", ["pause", "unpause"])
def test_J3_a_run_of_this_process_that_has_ended_is_told_nothing_either(store, command):
    ended = start(flow, {"x": 1}, store=store).wait(60)
    with pytest.raises(RunIsNotLive):
        getattr(ended, command)()


@pytest.mark.full
def test_J3_garbage_in_the_inbox_hinders_nothing(project, begin, there):
    process = begin()
    data = command_to_bytes(Command("pause", "", "me", 1))
    garbage = [b"", data[:-3], data[:20] + b"\xff" + data[21:], b"garbage" * 1000]
    for number, bytes_ in enumerate(garbage):
        project.store.put(inbox_key("told", f"{number:020d}-{number:016x}"), bytes_)
    project.store.put(inbox_key("told", "notes.txt"), b"somebody's")
    there().cancel("still heard")
    output, errors = project.finish(process)
    assert output == "CANCELLED still heard\n"
    assert project.store.list(inbox_key("told")) == [inbox_key("told", "notes.txt")]
    assert f"inbox/{1:020d}-" in errors
    assert "it is removed" in errors


@pytest.mark.full
def test_J3_a_folder_in_the_inbox_hinders_nothing(project, begin, there):
    process = begin()
    project.store.put(inbox_key("told", "0/foreign"), b"somebody's")
    tell(project.store, "told", "cancel", "still heard", patience=3.0)
    assert project.finish(process)[0] == "CANCELLED still heard\n"


@pytest.mark.full
def test_J3_garbage_in_the_inbox_hinders_nothing_where_warnings_are_errors(project, begin, there):
    process = begin(PYTHONWARNINGS="error::RuntimeWarning")
    project.store.put(inbox_key("told", "0"), b"garbage")
    tell(project.store, "told", "cancel", "still heard", patience=3.0)
    assert project.finish(process)[0] == "CANCELLED still heard\n"


# --- acknowledged ---


@pytest.mark.full
def test_J3_a_command_that_was_withdrawn_is_not_obeyed_later(project, begin, there, gate, eventually):
    """A body that takes longer than the one who asks has patience, on an engine whose loop waits for it."""
    held = gate("held")
    process = begin("held", GATE=held.path)
    held.reached()
    with pytest.raises(TimeoutError) as caught:
        tell(project.store, "told", "pause", patience=1.0)
    held.open()
    state = eventually(lambda: there().state in ("PAUSED", "SUCCEEDED") and there().state, "a pause, or the end")
    process.kill()
    assert state == ("SUCCEEDED" if "withdrawn" in str(caught.value) else "PAUSED")


@pytest.mark.full
def test_J3_a_stop_that_waits_for_a_long_body_is_not_withdrawn(project, begin, gate, eventually):
    held = gate("held")
    process = begin("held", "processes", GATE=held.path)
    held.reached()
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(tell, project.store, "told", "stop", "evening", 2.0)
        eventually(lambda: read_beat(project.store, "told").ending, "the executor's word that it will stop")
        held.open()
        told.result(60)
    assert project.finish(process)[0] == "INTERRUPTED evening\n"


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("command", ["pause", "stop", "cancel"])
def test_J3_a_command_takes_effect_before_it_is_acknowledged(project, begin, there, command, events_of, eventually):
    project.write("told.py", MODULE)
    project.write("slow", "")
    project.write(
        "dies.py",
        f"from promissory.testing import crash_at\nwith crash_at('inbox.obeyed', how='kill'):\n    exec('''{RUN}''')",
    )
    process = project.spawn("dies.py", "chain", "inline")
    eventually(lambda: len(project.lines("started")) > 2, "the first bodies")
    key = send(project.store, "told", command, "because")
    process.wait(60)
    assert process.returncode == -signal.SIGKILL
    assert project.store.exists(key), "it was not acknowledged"
    events = events_of(project.store, "told")
    wanted = {"pause": (PAUSED, "because"), "cancel": (ENDED, "CANCELLED")}
    if command in wanted:
        assert events[-1][:2] == wanted[command]
    assert there().state == ("CANCELLED" if command == "cancel" else "INTERRUPTED")
    assert project.code('import promissory; print(promissory.attach("told").state)').split() == [there().state]


@pytest.mark.full
def test_J3_what_was_said_to_a_dead_executor_is_not_obeyed_by_the_next(project, begin, there):
    process = begin()
    process.kill()
    process.wait()
    send(project.store, "told", "cancel", "too late")
    assert carried_on(project) == f"{LONG}\n"
    assert waiting(project.store, "told") == []


def test_J3_a_command_is_not_taken_for_obeyed_when_the_run_is_taken_over(project, begin, there, gate, eventually):
    held, again = gate("held"), gate("again")
    process = begin("held", GATE=held.path)
    held.reached()
    process.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(there().pause)
        eventually(lambda: waiting(project.store, "told"), "the command")
        new = project.spawn(
            "-c", 'import promissory; print(promissory.resume("told", take_over=True).result)', GATE=again.path
        )
        again.reached()
        try:
            asked.result(2)
            obeyed = True
        except (TimeoutError, RunIsNotLive):
            obeyed = False
        state = History(project.store, "told").state
        process.kill()
        again.open()
        output = project.finish(new)[0]
    assert not obeyed or state == "PAUSED"


# --- in this process ---


@task
def inc(x: int) -> int:
    return x + 1


@task
def fails(x: int) -> int:
    raise KeyError("nothing here")


@workflow
def flow(x: int) -> int:
    return inc(inc(x))


@workflow
def failing(x: int) -> int:
    return inc(fails(x))


inside, go_on = threading.Event(), threading.Event()
tried = []


@task
def waits(x: int) -> int:
    inside.set()
    assert go_on.wait(60)
    return x + 1


@task(retries=1, retry_delay=3600)
def tries_again(x: int) -> int:
    tried.append(x)
    if len(tried) == 1:
        raise OSError("not yet")
    return x + 1


@dynamic
def grows(x: int) -> int:
    return inc(waits(x))


@workflow
def nested(x: int) -> int:
    return inc(grows(x))


@workflow
def retrying(x: int) -> int:
    return inc(tries_again(x))


@pytest.fixture(autouse=True)
def anew():
    inside.clear()
    go_on.clear()
    tried.clear()
    acknowledged.clear()


@pytest.fixture
def memory(request):
    return f"memory://commands-{request.node.name}"


def test_X8_a_pause_inside_a_dynamic_holds_back_what_it_emitted(memory, eventually):
    going = start(nested, {"x": 0}, store=memory, engine="threads", durability="process")
    assert inside.wait(60)
    going.pause()
    eventually(lambda: going.state == "PAUSED", "the pause")
    go_on.set()
    eventually(lambda: row_states(going)["main/grows/waits"] == "SUCCEEDED", "the end of what ran")
    assert row_states(going)["main/grows/inc"] == "READY"
    going.unpause()
    assert going.wait(60).result == 3


def row_states(one):
    return {row.path: row.state for row in one.nodes()}


def test_X8_a_stop_of_this_process_leaves_an_interrupted_run_that_says_how_to_go_on(tmp_path):
    going = start(nested, {"x": 0}, store=tmp_path, engine="threads")
    assert inside.wait(60)
    going.stop("for now")
    go_on.set()
    assert going.wait(60).state == "INTERRUPTED"
    with pytest.raises(
        RunInterrupted, match=rf"run {going.id} is interrupted \(for now\): promissory resume {going.id} --store"
    ):
        going.result
    assert resume(going.id, store=tmp_path).result == 3


def test_X8_a_run_that_waits_for_another_attempt_can_be_paused_stopped_and_resumed(memory, eventually):
    going = start(retrying, {"x": 0}, store=memory, durability="process")
    eventually(lambda: row_states(going)["main/tries_again"] == "RETRYING", "the first attempt")
    going.pause()
    eventually(lambda: going.state == "PAUSED", "the pause")
    going.stop()
    assert going.wait(60).state == "INTERRUPTED"
    assert tried == [0], "a paused run starts no attempt, and a stopped one neither"
    again = run(retrying, {"x": 0}, store=memory, run_id=going.id, clock=MockClock(), durability="process")
    assert (again.result, tried) == (2, [0, 0])


def test_X8_an_attached_run_can_be_waited_for_and_gives_its_result(memory):
    going = start(nested, {"x": 0}, store=memory, engine="threads")
    assert inside.wait(60)
    other = attach(going.id, store=memory)
    assert other.state == "RUNNING"
    assert other.error is None
    with pytest.raises(TimeoutError, match=f"run {going.id} has not ended after 0.01 s"):
        other.wait(0.01)
    go_on.set()
    assert other.wait(60).result == 3
    assert (other.state, other.outputs) == ("SUCCEEDED", {"result": 3})
    going.wait(60)


def test_X8_an_attached_run_that_failed_gives_the_original_exception(memory):
    failed = run(failing, {"x": 0}, store=memory)
    other = attach(failed.id, store=memory)
    with pytest.raises(RunFailed, match="main/fails failed: KeyError") as caught:
        other.result
    assert isinstance(caught.value.__cause__, KeyError)
    assert (other.state, other.error.path, other.error.attempt) == ("FAILED", "main/fails", 1)
    assert other.reason == failed.reason


def test_X8_an_attached_run_is_paused_as_soon_as_its_pause_is_acknowledged(memory):
    going = start(nested, {"x": 0}, store=memory, engine="threads")
    assert inside.wait(60)
    other = attach(going.id, store=memory)
    try:
        for _ in range(3):
            other.pause()
            assert other.state == "PAUSED"
            other.unpause()
            assert other.state == "RUNNING"
    finally:
        go_on.set()
        going.cancel()
        going.wait(60)


def test_X8_an_attached_run_that_is_repaired_elsewhere_is_not_said_to_have_failed_for_ever(memory):
    failed = run(retrying_at_once, {"x": 0}, store=memory)
    other = attach(failed.id, store=memory)
    assert other.state == "FAILED"
    assert resume(failed.id, store=memory).state == "SUCCEEDED"
    assert (other.state, other.result) == ("SUCCEEDED", 1)


@task
def fails_once(x: int) -> int:
    tried.append(x)
    if len(tried) == 1:
        raise OSError("not yet")
    return x + 1


@workflow
def retrying_at_once(x: int) -> int:
    return fails_once(x)


def test_J3_a_resume_of_a_paused_run_is_refused_while_its_executor_lives(memory):
    going = start(nested, {"x": 0}, store=memory, engine="threads")
    assert inside.wait(60)
    attach(going.id, store=memory).pause()
    with pytest.raises(RunIsLive):
        resume(going.id, store=memory)
    go_on.set()
    attach(going.id, store=memory).unpause()
    assert going.wait(60).result == 3


def test_J3_the_end_of_a_run_is_committed_before_what_was_commanded_is_acknowledged(memory):
    go_on.set()
    with crash_at("inbox.obeyed"):
        going = start(nested, {"x": 0}, store=memory, engine="threads", durability="process")
        with pytest.raises(Crashed):
            going.wait(60)
    assert resume(going.id, store=memory).result == 3
