"""J3: two executors on one run: one wins by epoch, the other stops with Fenced, and nothing of its later writing
counts. Clocks and beats decide nothing of that.
"""

import json
import os
import re
import signal
import sys
import threading
import time
import uuid
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from promissory import Store, resume, run, start, task, workflow
from promissory.errors import Fenced, RunIsLive, StoreError
from promissory.executor.history.history import History
from promissory.executor.journal.reader import find_end
from promissory.executor.maintenance.doctor import NOTE, examine
from promissory.executor.maintenance.garbage import remove_run
from promissory.executor.protocol.events import NODE_DONE, RESUMED
from promissory.executor.records import heartbeat
from promissory.executor.records.heartbeat import read_beat
from promissory.executor.store import holding
from promissory.executor.store.keys import run_key
from promissory.testing import Crashed, Fault, FaultyStore, MockClock, crash_at

MODULE = """
import os, time
from promissory import dynamic, task, workflow

def began(what):
    descriptor = os.open("started", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{os.environ['WHO']} {what}\\n".encode())
    os.close(descriptor)

@task
def step(x: int) -> int:
    began(f"step {x}")
    return x + 1

@task
def held(x: int) -> int:
    began("held")
    open(os.environ["GATE"]).read()
    return x + 1

@task(cache=True)
def told(who: str, x: int) -> str:
    began("told")
    return os.environ["WHO"]

@dynamic
def more(x: int) -> int:
    began("more")
    return step(step(x))

@workflow
def flow(x: int) -> str:
    return told("it", more(held(step(step(x)))))
"""

RUN = """
import sys
from promissory import run
from fenced import flow
if __name__ == "__main__":
    print(run(flow, {"x": 0}, run_id="fenced", engine=sys.argv[1], echo=False).result)
"""

SLOW_RUN = """
import sys
from promissory import run
from promissory.testing import Fault, FaultyStore
from fenced import flow
if __name__ == "__main__":
    store = FaultyStore("store", [Fault("delay", seconds=0.02)])
    print(run(flow, {"x": 0}, run_id="fenced", engine=sys.argv[1], store=store, echo=False).result)
"""

RESUME = """
import sys
from promissory import resume
if __name__ == "__main__":
    print(resume("fenced", engine=sys.argv[1], take_over=True, echo=False).result)
"""

COMMAND = str(Path(sys.executable).parent / "promissory")
JOINED = "run() with a run id does not raise Fenced: it joins the run that was taken from it, and even resumes it"
ENGINES = ["inline", "threads", "processes"]


@pytest.fixture
def flow(project):
    """The files of the test's author."""
    project.write("fenced.py", MODULE)
    project.write("go.py", RUN)
    project.write("slowly.py", SLOW_RUN)
    project.write("again.py", RESUME)
    return project


def bodies(project, who):
    return [line.split(" ", 1)[1] for line in project.lines("started") if line.startswith(f"{who} ")]


def everything(store):
    """Each key of a store with its bytes; but logs, temporary files and locks, which name nothing."""
    folder = store.url.removeprefix("file://")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and "/logs/" not in str(path) and ".tmp-" not in path.name and path.name != "alive"
    }


def taken_over(project, gate, eventually, events_of, engine, program="go.py"):
    """A process that was stopped in the third body, after the run was carried to its end by another one, and
    its gate.
    """
    old_gate, new_gate = gate("old"), gate("new")
    first = project.spawn(program, engine, WHO="first", GATE=old_gate.path)
    old_gate.reached()
    eventually(
        lambda: sum(event[0] == NODE_DONE for event in events_of(project.store, "fenced")) == 2,
        "the commit of two steps",
    )
    first.send_signal(signal.SIGSTOP)
    second = project.spawn("again.py", engine, WHO="second", GATE=new_gate.path)
    new_gate.reached()
    new_gate.open()
    output, errors = project.finish(second)
    assert output.strip() == "second", errors
    return first, old_gate


@pytest.mark.parametrize("engine", ENGINES)
def test_J3_an_executor_that_wakes_after_the_run_has_ended_changes_nothing(flow, gate, eventually, events_of, engine):
    first, held = taken_over(flow, gate, eventually, events_of, engine)
    before = everything(flow.store)
    first.send_signal(signal.SIGCONT)
    held.open()
    output, errors = flow.finish(first)
    assert output == "", "it may not show a result that does not count"
    assert first.returncode == 1
    assert "errors.Fenced: run fenced was taken over by another executor" in errors
    assert "AssertionError" not in errors and "Exception in thread" not in errors
    assert History(flow.store, "fenced").state == "SUCCEEDED"
    after = everything(flow.store)
    assert {key for key in before if after.get(key) != before[key]} == set(), "what was there is as it was"
    assert not [key for key in after.keys() - before.keys() if not key.startswith("objects/")], (
        "nothing new but objects that nobody names"
    )
    assert resume("fenced", store=flow.store).result == "second"


def test_J3_an_executor_on_a_slow_store_is_fenced_as_well(flow, gate, eventually, events_of):
    first, held = taken_over(flow, gate, eventually, events_of, "threads", "slowly.py")
    first.send_signal(signal.SIGCONT)
    held.open()
    _, errors = flow.finish(first)
    assert first.returncode == 1
    assert "Fenced: run fenced was taken over" in errors
    assert [event[1] for event in events_of(flow.store, "fenced") if event[0] == RESUMED] == [1, 2]


@pytest.mark.parametrize("engine", ENGINES)
def test_J3_the_command_line_says_in_a_line_that_the_run_was_taken_over(flow, gate, eventually, events_of, engine):
    old_gate, new_gate = gate("old"), gate("new")
    arguments = [COMMAND, "run", "--engine", engine, "--run-id", "fenced", "fenced.py", "flow", "--x", "0"]
    first = flow.spawn(*arguments, WHO="first", GATE=old_gate.path)
    old_gate.reached()
    eventually(
        lambda: sum(event[0] == NODE_DONE for event in events_of(flow.store, "fenced")) == 2, "the commit of two steps"
    )
    first.send_signal(signal.SIGSTOP)
    second = flow.spawn(
        COMMAND, "resume", "--engine", engine, "--take-over", "fenced", WHO="second", GATE=new_gate.path
    )
    new_gate.reached()
    new_gate.open()
    output, errors = flow.finish(second)
    assert output.strip() == "second", errors
    first.send_signal(signal.SIGCONT)
    old_gate.open()
    output, errors = flow.finish(first)
    assert output == ""
    assert first.returncode not in (0, -signal.SIGKILL)
    assert "was taken over by another executor" in errors
    assert "Traceback" not in errors


def test_J3_what_a_fenced_executor_had_not_committed_is_in_no_cache(flow, gate, eventually, events_of):
    first, held = taken_over(flow, gate, eventually, events_of, "inline")
    first.send_signal(signal.SIGCONT)
    held.open()
    flow.finish(first)
    assert "told" not in bodies(flow, "first")
    third = flow.code(
        "import promissory; from fenced import told\n"
        'print(promissory.run(told, {"who": "it", "x": 5}, echo=False).result)',
        WHO="third",
    )
    assert third.strip() == "second"


def test_J3_the_doctor_finds_nothing_wrong_with_a_run_that_was_taken_over(flow, gate, eventually, events_of):
    first, held = taken_over(flow, gate, eventually, events_of, "inline")
    first.send_signal(signal.SIGCONT)
    held.open()
    flow.finish(first)
    assert [finding for finding in examine(flow.store, "fenced") if finding.severity != NOTE] == []


def test_J3_two_executors_that_take_a_run_over_in_turn_are_both_fenced(flow, gate, eventually, events_of):
    gates = [gate(name) for name in ("a", "b", "c")]
    first = flow.spawn("go.py", "inline", WHO="a", GATE=gates[0].path)
    gates[0].reached()
    second = flow.spawn("again.py", "inline", WHO="b", GATE=gates[1].path)
    gates[1].reached()
    third = flow.spawn("again.py", "inline", WHO="c", GATE=gates[2].path)
    gates[2].reached()
    for one in gates:
        one.open()
    for process in (first, second):
        _, errors = flow.finish(process)
        assert process.returncode == 1
        assert "Fenced" in errors
    assert flow.finish(third)[0].strip() == "c"
    assert [event[1] for event in events_of(flow.store, "fenced") if event[0] == RESUMED] == [1, 2, 3]


# --- inside one process, where each moment can be chosen ---


class Held:
    """A fault that holds an operation of a store until the test lets it go."""

    def __init__(self, url, verb, keys):
        self.reached, self.go = threading.Event(), threading.Event()
        self.store = FaultyStore(url, [Fault("fail", at=1, verbs=[verb], keys=keys, error=self._hold)])

    def _hold(self):
        self.reached.set()
        self.go.wait(60)
        return ConnectionError("it was held")


@task
def added(x: int) -> int:
    return x + 1


@workflow
def added_twice(x: int) -> int:
    return added(added(x))


def crashed(url, point="worker.after-body"):
    with crash_at(point), pytest.raises(Crashed):
        run(added_twice, {"x": 0}, store=url, run_id="fenced", echo=False, durability="process")


@pytest.fixture
def url():
    return f"memory://{uuid.uuid4()}"


def test_J3_an_executor_that_is_overtaken_before_its_first_segment_is_fenced(url):
    held = Held(url, "put_new", "runs/*/journal/*")
    first = start(added_twice, {"x": 0}, store=held.store, run_id="fenced", echo=False, durability="process")
    assert held.reached.wait(60)
    assert resume("fenced", store=url, echo=False, take_over=True, durability="process").result == 2
    held.go.set()
    with pytest.raises(Fenced, match="run fenced was taken over by another executor"):
        first.wait(60)


EPOCH = "a run whose journal is empty is taken over with epoch 1, which its first executor has as well"


def test_J3_who_takes_over_before_the_first_segment_has_a_higher_epoch(url, events_of):
    held = Held(url, "put_new", "runs/*/journal/*")
    first = start(added_twice, {"x": 0}, store=held.store, run_id="fenced", echo=False, durability="process")
    assert held.reached.wait(60)
    resume("fenced", store=url, echo=False, take_over=True, durability="process")
    held.go.set()
    with pytest.raises(Fenced, match=r"epoch 2, this one has 1"):
        first.wait(60)
    assert [event[1] for event in events_of(Store(url), "fenced") if event[0] == RESUMED] == [2]


def test_J3_a_takeover_before_the_first_segment_fences_the_first_executor(url):
    """The old one writes after the take-over has looked at the journal, and before it has claimed it: a lower epoch,
    whose segment is read too.
    """
    slow = Held(url, "put_new", "runs/*/journal/*")
    first = start(added_twice, {"x": 0}, store=slow.store, run_id="fenced", echo=False, durability="process")
    assert slow.reached.wait(60)
    claiming, ended = Held(url, "put_new", "runs/*/journal/*"), []
    taker = threading.Thread(
        target=lambda: ended.append(
            _outcome(lambda: resume("fenced", store=claiming.store, echo=False, take_over=True))
        )
    )
    taker.start()
    assert claiming.reached.wait(60)
    slow.go.set()
    assert _outcome(lambda: first.wait(60).result) == 2, "it was quicker"
    claiming.go.set()
    taker.join(60)
    assert ended[0] == 2


def test_J3_a_fenced_executors_last_beat_does_not_stand_for_the_winner(url):
    entered, leave = threading.Event(), threading.Event()

    @task
    def waits(x: int) -> int:
        entered.set()
        leave.wait(60)
        return x

    held = Held(url, "put_new", "runs/*/journal/*")
    quick = start(waits, {"x": 1}, store=held.store, run_id="fenced", echo=False, durability="process")
    assert held.reached.wait(60)
    ended = []
    winner = threading.Thread(
        target=lambda: ended.append(resume("fenced", store=url, echo=False, take_over=True, durability="process"))
    )
    winner.start()
    assert entered.wait(60)
    leave_first = threading.Timer(0, held.go.set)
    leave_first.start()
    try:
        threading.Timer(0.3, leave.set).start()
        with pytest.raises(Fenced):
            quick.wait(60)
        beat = read_beat(Store(url), "fenced")
        assert beat.epoch == 2
    finally:
        leave.set()
        winner.join(60)


def _outcome(action):
    try:
        ended = action()
    except (Fenced, RunIsLive) as error:
        return type(error)
    return getattr(ended, "result", ended)


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("attempt", range(3))
def test_J3_of_many_resumes_at_one_moment_one_carries_the_run_and_each_node_is_committed_once(
    tmp_path, attempt, events_of
):
    url = str(tmp_path / "store")
    crashed(url)
    barrier, outcomes = threading.Barrier(6), []

    def one():
        barrier.wait(60)
        outcomes.append(_outcome(lambda: resume("fenced", store=Store(url), echo=False, durability="process")))

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(outcomes) <= {2, Fenced, RunIsLive}
    assert 2 in outcomes
    ended = [event[1:3] for event in events_of(Store(url), "fenced") if event[0] == NODE_DONE]
    assert sorted(ended) == [(0, 0), (0, 1)]
    epochs = [event[1] for event in events_of(Store(url), "fenced") if event[0] == RESUMED]
    assert epochs == sorted(set(epochs))


def test_J3_of_two_resumes_that_read_the_same_journal_the_later_claim_is_told_who_has_the_run(url, events_of):
    crashed(url)
    slow, outcomes = Held(url, "put_new", "runs/*/journal/*"), []

    def resumed_too_late():
        with pytest.raises(RunIsLive) as told:
            resume("fenced", store=slow.store, echo=False, durability="process")
        outcomes.append(str(told.value))

    late = threading.Thread(target=resumed_too_late)
    late.start()
    assert slow.reached.wait(60)
    assert resume("fenced", store=url, echo=False, durability="process").result == 2
    slow.go.set()
    late.join(60)
    assert len(outcomes) == 1
    assert re.fullmatch(
        rf"run fenced was taken over by process {os.getpid()} of \S+ \(executor [0-9a-f]{{16}}, since \S+\), "
        "which was first. Wait for it, or stop it",
        outcomes[0],
    )
    epochs = [event[1] for event in events_of(Store(url), "fenced") if event[0] == RESUMED]
    assert epochs == sorted(set(epochs))


def test_J3_a_lost_answer_to_ones_own_segment_is_not_another_executor(url):
    for verbs in (["put_new"], ["put_new", "get", "exists"]):
        store = FaultyStore(
            f"{url}-{len(verbs)}", [Fault("fail", when="after", rate=0.5, verbs=verbs, keys="runs/*/journal/*")], seed=3
        )
        assert run(added_twice, {"x": 0}, store=store, echo=False, durability="process").result == 2
        twice = FaultyStore(
            f"{url}-{len(verbs)}-twice", [Fault("duplicate", verbs=["put_new"], keys="runs/*/journal/*")]
        )
        assert run(added_twice, {"x": 0}, store=twice, echo=False, durability="process").result == 2


@pytest.mark.parametrize(
    "run_id",
    [
        pytest.param(
            None,
        ),
        "mine",
    ],
)
def test_J3_a_lost_race_for_ones_own_manifest_is_ones_own(url, run_id, events_of):
    """NFS reports a lost race for a link that it asked for twice: what is there is read, and bytes that are mine are
    mine.
    """
    twice = FaultyStore(url, [Fault("duplicate", verbs=["put_new"], keys="runs/*/manifest")])
    ended = run(added_twice, {"x": 0}, store=twice, run_id=run_id, echo=False, durability="process")
    assert ended.result == 2
    assert [event[1] for event in events_of(Store(url), ended.id) if event[0] == RESUMED] == [1]


def test_J3_a_fenced_executor_does_not_run_what_it_had_not_begun(url):
    begun, entered, leave = [], threading.Event(), threading.Event()

    @task
    def first(x: int) -> int:
        begun.append("first")
        if len(begun) == 1:
            entered.set()
            leave.wait(60)
        return x

    @task(commit="each")
    def then(x: int) -> int:
        begun.append("then")
        return x

    @workflow
    def flow(x: int) -> int:
        return then(then(then(first(x))))

    old = start(flow, {"x": 0}, store=url, run_id="fenced", echo=False, durability="process")
    assert entered.wait(60)
    assert resume("fenced", store=url, echo=False, take_over=True, durability="process").result == 0
    assert begun == ["first", "first", "then", "then", "then"]
    leave.set()
    with pytest.raises(Fenced):
        old.wait(60)
    assert begun.count("then") <= 4, "it can't know before it commits, and commits before the second one"


def test_J3_a_fenced_executor_does_not_go_on_with_the_run_when_its_successor_stops(url, eventually):
    """Whoever took the run over has stopped it, or its disk is full: who was fenced has no say in what becomes
    of it.
    """
    entered, leave, begun, outcomes = threading.Event(), threading.Event(), [], []

    @task
    def first(x: int) -> int:
        begun.append("first")
        if entered.is_set():  # the successor's: the run has been taken over
            leave.set()
        entered.set()
        leave.wait(60)
        return x

    @task
    def then(x: int) -> int:
        begun.append("then")
        return x

    @workflow
    def flow(x: int) -> int:
        return then(first(x))

    def work():
        outcomes.append(
            _outcome(lambda: run(flow, {"x": 0}, store=url, run_id="fenced", echo=False, durability="process"))
        )

    old = threading.Thread(target=work)
    old.start()
    assert entered.wait(60)
    eventually(
        lambda: find_end(Store(url), "fenced") == 1,
        "the first segment: a successor would lose the race for it, and come to the fault too early",
    )
    claimed = FaultyStore(
        url,
        [
            Fault(
                "fail",
                at=2,
                verbs=["put_new"],
                keys="runs/*/journal/*",
                error=lambda: OSError(28, "No space left on device"),
            )
        ],
    )
    with pytest.raises(StoreError):
        resume("fenced", store=claimed, echo=False, take_over=True, durability="process")
    old.join(60)
    assert outcomes == [Fenced]
    assert begun.count("first") == 2


# --- clocks ---


def dated(url, shift, **changes):
    """Give a run's beat another date, and more."""
    store = Store(url)
    beat = read_beat(store, "fenced")
    store.put(
        run_key("fenced", "beat"), json.dumps(asdict(replace(beat, time=time.time() + shift, **changes))).encode()
    )


@pytest.mark.parametrize("shift", [-1e9, -3600, 3600, 1e9])
def test_J3_the_date_of_a_beat_does_not_matter_on_its_own_machine(tmp_path, shift):
    """Nobody holds the executor's lock: it is gone, whatever the clock said."""
    url = str(tmp_path)
    crashed(url)
    dated(url, shift, over=False, executor="0123456789abcdef", locked=True)
    assert History(Store(url), "fenced").state == "INTERRUPTED"
    assert resume("fenced", store=url, echo=False).result == 2


@pytest.fixture
def watched(monkeypatch):
    """Locks prove nothing here, as on a network file system, and beats come soon."""
    monkeypatch.setattr(holding, "is_of_one_kernel", lambda path: False)
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.1)


@pytest.mark.parametrize("shift", [-1e9, -1, 86400])
def test_J3_an_executor_elsewhere_is_gone_when_three_beats_are_missed_whatever_their_date(
    tmp_path, watched, shift, caplog
):
    url = str(tmp_path)
    crashed(url)
    dated(url, shift, over=False, host="elsewhere", executor="0123456789abcdef")
    assert resume("fenced", store=url, echo=False).result == 2
    assert "whether the executor of run fenced lives: its beats are watched for up to 0.3 s" in caplog.text


@pytest.mark.parametrize("shift", [-1e9, -1, 86400])
def test_J3_an_executor_elsewhere_that_beats_is_left_alone_whatever_its_clock_says(
    tmp_path, watched, shift, eventually
):
    url, over = str(tmp_path), threading.Event()
    crashed(url)

    def beats():
        while not over.wait(0.02):
            dated(url, shift, over=False, host="elsewhere", executor="0123456789abcdef")

    dated(url, shift, over=False, host="elsewhere", executor="0123456789abcdef")
    thread = threading.Thread(target=beats)
    thread.start()
    try:
        with pytest.raises(RunIsLive, match=r"by process \d+ of elsewhere \(.*take_over=True, --take-over"):
            resume("fenced", store=url)
        with pytest.raises(RunIsLive, match="goes on"):
            remove_run(Store(url), "fenced")
        assert History(Store(url), "fenced").state == "RUNNING", "it was seen to beat, so its date is not asked for"
    finally:
        over.set()
        thread.join()
    eventually(lambda: History(Store(url), "fenced").state == "INTERRUPTED", "the third beat that was missed")
    assert resume("fenced", store=url, echo=False).result == 2


def test_J3_a_beat_from_the_future_is_told_and_can_be_taken_over(tmp_path):
    url = str(tmp_path)
    crashed(url)
    dated(url, 86400, over=False, host="elsewhere", executor="")
    assert resume("fenced", store=url, echo=False, take_over=True).result == 2


def test_J3_a_beat_from_far_in_the_future_is_not_fresh(tmp_path):
    """A machine whose clock was a day ahead, and is gone: the clock of the store says that nobody has beaten."""
    url = str(tmp_path)
    crashed(url)
    dated(url, 86400, over=False, host="elsewhere", executor="")
    assert History(Store(url), "fenced").state == "INTERRUPTED"


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("jump", [-10 * 365 * 86400, -3600, 3600, 10 * 365 * 86400])
def test_J3_a_clock_that_jumps_between_two_executors_changes_nothing(tmp_path, jump, monkeypatch, events_of):
    url = str(tmp_path)
    crashed(url, "journal.committed")
    real, real_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + jump * 1_000_000_000)
    assert resume("fenced", store=url, echo=False).result == 2
    monkeypatch.undo()
    assert resume("fenced", store=url, echo=False).result == 2
    assert [row.state for row in History(Store(url), "fenced").nodes()] == ["SUCCEEDED", "SUCCEEDED"]
    assert [finding for finding in examine(Store(url), "fenced") if finding.severity != NOTE] == []


def test_J3_a_clock_that_jumps_back_does_not_delay_a_retry(url):
    clock, attempts = MockClock(2_000_000_000.0), []

    @task(retries=1, retry_delay=10)
    def flaky() -> int:
        attempts.append(clock.monotonic())
        if len(attempts) == 1:
            clock.set_calendar(1_000_000_000.0)
            raise OSError("not yet")
        return 1

    assert run(flaky, store=url, echo=False, clock=clock, durability="process").result == 1
    assert 9 < attempts[1] - attempts[0] < 12
