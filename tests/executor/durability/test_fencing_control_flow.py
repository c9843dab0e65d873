"""J3, J1: a run that is taken over, or killed, inside a loop, map, signal, branch or gate: one executor counts, the
other changes nothing.

In this process the old executor works in a thread of its own and is held in a body, at a commit or at its inbox, while
the test takes its run over. Real processes are stopped or killed.
"""

import re
import signal
import threading
import uuid
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from promissory import (
    Context,
    Loop,
    NodeFailure,
    Retry,
    Skip,
    approve,
    conditional,
    current_context,
    dynamic,
    map_task,
    promise,
    sleep,
    task,
    wait_for_input,
    workflow,
)
from promissory.errors import Fenced, RunFailed, WorkflowCancelled
from promissory.executor import Store, attach, resume, run, start
from promissory.executor.journal import writer as journal
from promissory.executor.maintenance.doctor import NOTE, examine
from promissory.executor.records import heartbeat
from promissory.executor.records.heartbeat import read_beat
from promissory.testing import MockClock

QUIET = {"echo": False, "durability": "process"}
MANY = 2100
"""Items of a map: three chunks."""


class Stage:
    """Who ran which body. The old executor stands still in the body of a label, until it may go on."""

    def __init__(self):
        self.run_id = f"fenced-{uuid.uuid4()}"
        self.bodies = []
        self.held = None
        self.entered, self.leave = threading.Event(), threading.Event()

    def __call__(self, label):
        """A body begins."""
        who = "old" if threading.current_thread().name == f"promissory run {self.run_id}" else "new"
        context = current_context()
        self.bodies.append((who, label, re.sub(r"\[=\d+\]$", "", context.path), context.loop_index))
        if who == "old" and label == self.held and not self.entered.is_set():
            self.entered.set()
            assert self.leave.wait(60)
        elif who == "old" and self.leave.is_set():
            journal_thread = f"promissory journal {self.run_id}"
            assert _until(lambda: not any(thread.name == journal_thread for thread in threading.enumerate())), (
                "the old executor is told"
            )

    def of(self, who):
        return [label for one, label, _, _ in self.bodies if one == who]


def _until(predicate, seconds=60.0):
    pause = threading.Event()
    for _ in range(int(seconds * 500)):
        if predicate():
            return True
        pause.wait(0.002)
    return False


STAGE = Stage()


@pytest.fixture(autouse=True)
def stage(monkeypatch):
    """A new one; commits follow each other at once."""
    monkeypatch.setattr(journal, "COMMIT_INTERVAL", 0.001)
    STAGE.__init__()
    yield STAGE
    STAGE.leave.set()


class HeldStore(Store):
    """A store one operation of which waits, from the moment when it is armed: ("put_new", "/journal/") or ("list",
    "/inbox").
    """

    def __init__(self, url, verb="", part="", armed=True):
        super().__init__(url)
        self.verb, self.part = verb, part
        self.armed, self.reached, self.go = threading.Event(), threading.Event(), threading.Event()
        if armed:
            self.armed.set()

    def _hold(self, verb, key):
        if verb == self.verb and self.part in key and self.armed.is_set():
            self.reached.set()
            assert self.go.wait(60)

    def put_new(self, key, data, *, durable=True):
        self._hold("put_new", key)
        return super().put_new(key, data, durable=durable)

    def list(self, prefix):
        self._hold("list", prefix)
        return super().list(prefix)


@pytest.fixture
def url(tmp_path):
    """A store on disk, whose every byte can be compared."""
    return str(tmp_path / "store")


def everything(url):
    """Each key with its bytes; but logs and temporary files, which name nothing, and beats, by which nothing is
    decided.
    """
    files = [
        path
        for path in Path(url).rglob("*")
        if path.is_file() and "/logs/" not in str(path) and ".tmp-" not in path.name
    ]
    files = [path for path in files if path.name not in ("beat", "alive")]
    return {str(path.relative_to(url)): path.read_bytes() for path in files}


def face(ended):
    """How a run ended, for its caller: state, reason, result, the bytes of the result, and its nodes."""
    try:
        result = ended.result
    except (RunFailed, WorkflowCancelled) as error:
        return ended.state, ended.reason, type(error), str(error).partition("\n")[0]
    return ended.state, ended.reason, result, ended.encoded_outputs()


def nodes_of(ended):
    return {row.path: row.state for row in ended.nodes(items=True)}


# --- what is interrupted: each workload is made with a commit policy, and names the labels in which the old executor is


def looping_task(commit):
    @task(commit=commit)
    def turns(ctx: Context) -> int:
        STAGE(f"turn {ctx.loop_index}")
        ctx.channel().add("turns")
        if ctx.loop_index < 6:
            raise Loop((ctx.loop_result or 0) + ctx.loop_index)
        return ctx.loop_result * 1000 + ctx.channel().get("turns")

    @workflow
    def flow() -> int:
        return turns()

    return flow


def looping_dynamic(commit):
    @task(commit=commit)
    def grown(n: int) -> int:
        STAGE(f"grown {n}")
        return n + 1

    @dynamic(commit=commit)
    def rounds(ctx: Context) -> int:
        STAGE(f"round {ctx.loop_index}")
        if ctx.loop_index < 4:
            raise Loop(grown(grown(ctx.loop_result or 0)))
        return grown(ctx.loop_result)

    @workflow
    def flow() -> int:
        return rounds()

    return flow


def asked_for_iterations(commit):
    @task(commit=commit)
    def again(ctx: Context) -> str:
        STAGE(f"again {ctx.loop_index}")
        ctx.channel().append("seen", ctx.loop_index)
        if ctx.loop_index < 4:
            ctx.next_iteration(ctx.loop_index)
        return f"{ctx.loop_result} {ctx.channel().get('seen')}"

    @workflow
    def flow() -> str:
        return again()

    return flow


def map_of_chunks(commit):
    @task(commit=commit)
    def item(n: int) -> int:
        STAGE(f"item {n}")
        return n * n

    @task
    def total(ns: list[int]) -> int:
        STAGE("total")
        return sum(ns)

    @workflow
    def flow() -> int:
        return total(item.map(list(range(MANY))))

    return flow


def map_of_loops(commit):
    @task(commit=commit)
    def climbed(ctx: Context, n: int) -> int:
        STAGE(f"item {n} turn {ctx.loop_index}")
        ctx.channel().add("turns")
        if ctx.loop_index < n:
            raise Loop((ctx.loop_result or 0) + n)
        return ctx.loop_result or 0

    @task
    def seen(ctx: Context, ns: list[int]) -> tuple[list[int], int]:
        STAGE("seen")
        return ns, ctx.channel().get("turns")

    @workflow
    def flow() -> tuple[list[int], int]:
        return seen(map_task(climbed, concurrency=1)(n=[3, 0, 2, 4]))

    return flow


def sending(commit, ask, after=lambda sent: sent):
    """A task that asks something of its run, writes to the channel, and is followed by another one."""

    @task(commit=commit)
    def extra(ctx: Context, n: int) -> int:
        STAGE("extra")
        ctx.channel().add("extra", n)
        return n

    @task(commit=commit)
    def sender(ctx: Context) -> int:
        STAGE("sender")
        ctx.channel().add("sent")
        ctx.channel().append("by", "sender")
        ask(ctx, extra)
        return 1

    @task
    def follower(ctx: Context, n: int) -> int:
        STAGE("follower")
        return n

    @task(commit=commit)
    def refuge(ctx: Context) -> int:
        STAGE("refuge")
        ctx.channel().add("refuge")
        return 5

    @task
    def before() -> None:
        STAGE("before")

    @task
    def told(ctx: Context) -> dict[str, str]:
        STAGE("told")
        return {key: str(ctx.channel().get(key)) for key in ("by", "extra", "refuge", "sent")}

    @workflow
    def flow() -> dict[str, str]:
        sent = promise(sender())
        promise(before()) >> sent
        followed = promise(follower(after(sent)))
        refuges = promise(refuge()).with_overrides(name="refuge", standby=True)
        last = promise(told()).with_overrides(trigger="all_done")
        [followed, refuges] >> last
        return last

    return flow


def skips(ctx, extra):
    raise Skip("nothing to do")


REQUESTS = {
    "next_task": lambda ctx, extra: ctx.next_task(extra, n=2),
    "goto": lambda ctx, extra: ctx.next_task("refuge", goto=True),
    "terminate": lambda ctx, extra: ctx.terminate("enough", outputs={"early": "yes"}),
    "cancel": lambda ctx, extra: ctx.cancel("not valid"),
    "skip": skips,
}


def retrying(commit):
    @task(commit=commit, retries=2)
    def patient(ctx: Context) -> tuple[int, int]:
        STAGE(f"attempt {ctx.attempt}")
        ctx.channel().add("attempts")
        if ctx.attempt < 3:
            raise Retry(after=0)
        return ctx.attempt, ctx.channel().get("attempts")

    @workflow
    def flow() -> tuple[int, int]:
        return patient()

    return flow


def in_an_arm(commit):
    @task(commit=commit)
    def measured(n: int) -> int:
        STAGE(f"measured {n}")
        return n

    @task
    def added(n: int) -> int:
        STAGE("added")
        return n + 1

    @workflow
    def chosen(n: int) -> int:
        return conditional("inner").if_(promise(measured(7)) > n).then(measured(8)).else_().then(measured(9))

    @workflow
    def flow() -> int:
        first = promise(measured(1))
        return conditional("outer").if_(first == 1).then(added(chosen(first))).else_().then(measured(3))

    return flow


def with_a_fallback(commit):
    @task(commit=commit)
    def fails(ctx: Context) -> int:
        STAGE("fails")
        ctx.channel().add("failed")
        raise ValueError("three")

    @task(commit=commit)
    def instead(ctx: Context, err: NodeFailure) -> str:
        STAGE("instead")
        ctx.channel().add("instead")
        return f"{err.message} {ctx.channel().keys()}"

    @task
    def first(ctx: Context, n: str) -> str:
        STAGE("first")
        return f"{n} {ctx.channel().keys()}"

    @task(commit=commit)
    def text(n: int) -> str:
        return str(n)

    @workflow
    def flow() -> str:
        return first(promise(text(promise(fails()))).on_error(instead))

    return flow


WORKLOADS = {
    "looping task": (looping_task, ["turn 0", "turn 3"]),
    "looping dynamic": (looping_dynamic, ["round 2", "grown 3"]),
    "next_iteration": (asked_for_iterations, ["again 2"]),
    "map of chunks": (map_of_chunks, ["item 1100"]),
    "map of loops": (map_of_loops, ["item 2 turn 1"]),
    "next_task": (partial(sending, ask=REQUESTS["next_task"]), ["sender", "extra"]),
    "goto": (partial(sending, ask=REQUESTS["goto"]), ["sender", "refuge"]),
    "terminate": (partial(sending, ask=REQUESTS["terminate"]), ["sender"]),
    "cancel": (partial(sending, ask=REQUESTS["cancel"]), ["sender"]),
    "skip": (partial(sending, ask=REQUESTS["skip"]), ["sender"]),
    "retry": (retrying, ["attempt 1", "attempt 3"]),
    "branch": (in_an_arm, ["measured 8"]),
    "on_error": (with_a_fallback, ["fails", "instead"]),
}
SCENES = [(name, make, label) for name, (make, labels) in WORKLOADS.items() for label in labels]


def more_bodies(commit, label):
    """How many bodies an executor may begin after the one it was held in, until it is told that it was overtaken."""
    if label == "item 1100":
        return 255  # items that a worker was given at one time
    return int(commit == "group" or label.startswith("attempt"))  # with commit="each" what follows waits for the commit


EACH = [
    pytest.param(make, label, commit, id=f"{name}-{label}-{commit}")
    for name, make, label in SCENES
    for commit in ("group", "each")
]


def held_in_a_body(flow, url, label):
    """The old executor, which stands in a body; everything before that is committed."""
    STAGE.held = label
    store = HeldStore(url, "put_new", "/journal/", armed=False)
    old = start(flow, store=store, run_id=STAGE.run_id, **QUIET)
    assert STAGE.entered.wait(60), label
    old._execution.flush()
    return old, store


def finished(url):
    """Says of a body, by its path and iteration, whether its outcome is committed."""
    states = nodes_of(attach(STAGE.run_id, store=url))
    rows = {path for path, state in states.items() if state in ("SUCCEEDED", "SKIPPED", "FAILED", "CANCELLED")}
    return lambda path, iteration: path in rows or f"{path}[={iteration}]" in rows


def uninterrupted(flow):
    ended = run(flow, store=f"memory://{uuid.uuid4()}", run_id=STAGE.run_id, **QUIET)
    expected = face(ended), nodes_of(ended)
    STAGE.bodies.clear()
    return expected


def check_the_successor(ended, expected, is_finished):
    assert (face(ended), nodes_of(ended)) == expected
    repeated = [label for who, label, path, iteration in STAGE.bodies if who == "new" and is_finished(path, iteration)]
    assert repeated == [], "what was committed does not run again"
    assert [label for label, times in Counter(STAGE.of("new")).items() if times > 1] == [], "no body runs twice"


def check_the_loser(old, url, before):
    with pytest.raises(Fenced, match=r"run fenced-.* was taken over by another executor"):
        old.wait(60)
    after = everything(url)
    assert {key for key in before if after.get(key) != before[key]} == set(), "what was there is as it was"
    assert not [key for key in after.keys() - before.keys() if not key.startswith("objects/")], (
        "nothing new but objects that nobody names"
    )
    assert [finding for finding in examine(Store(url), STAGE.run_id) if finding.severity != NOTE] == []


@pytest.mark.full(keep=6)
@pytest.mark.parametrize(("make", "label", "commit"), EACH)
def test_J3_who_is_overtaken_in_a_body_changes_nothing(url, make, label, commit):
    flow = make(commit)
    expected = uninterrupted(flow)
    old, _ = held_in_a_body(flow, url, label)
    is_finished = finished(url)
    begun = len(STAGE.of("old"))
    check_the_successor(resume(STAGE.run_id, store=url, take_over=True, **QUIET), expected, is_finished)
    before = everything(url)
    STAGE.leave.set()
    check_the_loser(old, url, before)
    assert len(STAGE.of("old")) <= begun + more_bodies(commit, label)
    assert face(resume(STAGE.run_id, store=url, **QUIET)) == expected[0] or expected[0][0] == "CANCELLED"


@pytest.mark.full(keep=6)
@pytest.mark.parametrize(("make", "label", "commit"), EACH)
def test_J3_who_is_overtaken_between_an_outcome_and_its_commit_changes_nothing(url, make, label, commit):
    flow = make(commit)
    expected = uninterrupted(flow)
    old, store = held_in_a_body(flow, url, label)
    is_finished = finished(url)
    begun = len(STAGE.of("old"))
    store.armed.set()
    STAGE.leave.set()
    assert store.reached.wait(60)
    check_the_successor(resume(STAGE.run_id, store=url, take_over=True, **QUIET), expected, is_finished)
    before = everything(url)
    store.go.set()
    check_the_loser(old, url, before)
    assert len(STAGE.of("old")) <= begun + more_bodies(commit, label)


# --- gates ---


@task
def after_gate(n: int) -> int:
    STAGE(f"after {n}")
    return n + 1


@workflow
def asked_twice() -> int:
    first, second = promise(wait_for_input("first", type=int)), promise(wait_for_input("second", type=int))
    promise(after_gate(first)) >> second
    return after_gate(second)


@workflow
def approved() -> int:
    return promise(after_gate(approve(after_gate(1), "release"))).on_error(-1)


@workflow
def slept() -> int:
    nap, last = promise(sleep(3600)), promise(after_gate(2))
    promise(after_gate(1)) >> nap
    nap >> last
    return last


def waits(url, name):
    """Wait until a gate waits, as everybody can see."""
    assert _until(lambda: nodes_of(attach(STAGE.run_id, store=url)).get(f"main/{name}") == "WAITING"), name


class Aside:
    """Something that goes on in a thread of its own."""

    def __init__(self, action):
        self.came = None

        def work():
            try:
                self.came = action()
            except BaseException as error:  # the test looks at it
                self.came = error

        self.thread = threading.Thread(target=work, daemon=True)
        self.thread.start()

    def end(self):
        self.thread.join(60)
        return self.came


def taking_over(url, store=None, **options):
    """A successor, in a thread, which has the run."""
    new = Aside(lambda: resume(STAGE.run_id, store=store or url, take_over=True, **QUIET, **options))
    assert _until(lambda: read_beat(Store(url), STAGE.run_id).epoch == 2)
    return new


def answered(url, name, value):
    """Somebody answers a gate, and waits until an executor has taken it."""
    return Aside(lambda: attach(STAGE.run_id, store=url).answer(name, value))


def waiting_at(flow, url, gate, store=None, **options):
    """An old executor that waits at a gate, which is committed."""
    old = start(flow, store=store or url, run_id=STAGE.run_id, **QUIET, **options)
    waits(url, gate)
    return old


@pytest.mark.parametrize("value", [True, False])
def test_J3_an_approval_that_the_old_executor_could_not_commit_is_taken_by_the_new_one(url, value):
    store = HeldStore(url, "put_new", "/journal/", armed=False)
    old = waiting_at(approved, url, "release", store)
    store.armed.set()
    asker = answered(url, "release", value)
    assert store.reached.wait(60)
    ended = resume(STAGE.run_id, store=url, take_over=True, **QUIET)
    assert (ended.result, STAGE.of("new")) == ((3, ["after 2"]) if value else (-1, []))
    assert asker.end() is None
    before = everything(url)
    assert not [key for key in before if "/inbox/" in key], "the answer was taken"
    STAGE.leave.set()
    store.go.set()
    check_the_loser(old, url, before)


def test_J3_an_answer_that_the_old_executor_has_committed_is_not_asked_for_again(url):
    old = waiting_at(asked_twice, url, "first")
    answered(url, "first", 1).end()
    waits(url, "second")
    new = taking_over(url)
    waits(url, "second")
    answered(url, "second", 5).end()
    assert new.end().result == 6
    assert STAGE.of("old")[0] == "after 1"
    assert STAGE.of("new") == ["after 5"]
    STAGE.leave.set()
    old.cancel()
    with pytest.raises(Fenced):
        old.wait(60)


def test_J3_an_answer_to_a_gate_that_the_old_executor_does_not_know_is_left_to_who_holds_the_run(url):
    deaf = HeldStore(url, "list", "/inbox")
    old = waiting_at(asked_twice, url, "first", deaf)
    own = HeldStore(url, "list", "/inbox", armed=False)
    new = taking_over(url, own)
    answered(url, "first", 1).end()
    waits(url, "second")
    own.armed.set()
    assert own.reached.wait(60)
    asker = answered(url, "second", 5)
    assert _until(lambda: Store(url).list(f"runs/{STAGE.run_id}/inbox"))
    deaf.go.set()
    try:
        assert _until(lambda: not asker.thread.is_alive() or not old._thread.is_alive())
        assert asker.thread.is_alive(), "nobody but who holds the run may take it"
    finally:
        STAGE.leave.set()
        own.go.set()
        if not asker.thread.is_alive():
            answered(url, "second", 5).end()
    assert new.end().result == 6
    with pytest.raises(Fenced):
        old.wait(60)


@pytest.mark.parametrize("command", ["stop", "cancel"])
def test_J3_a_command_is_left_to_who_holds_the_run(url, command):
    deaf = HeldStore(url, "list", "/inbox")
    old = waiting_at(asked_twice, url, "first", deaf)
    own = HeldStore(url, "list", "/inbox", armed=False)
    new = taking_over(url, own)
    own.armed.set()
    assert own.reached.wait(60)
    teller = Aside(getattr(attach(STAGE.run_id, store=url), command))
    inbox = f"runs/{STAGE.run_id}/inbox"
    assert _until(lambda: Store(url).list(inbox))
    deaf.go.set()
    try:
        assert _until(lambda: not Store(url).list(inbox) or not old._thread.is_alive())
        assert Store(url).list(inbox), "the old executor has removed it"
    finally:
        own.go.set()
        teller.end()
        if new.thread.is_alive() and not Store(url).list(inbox):
            Aside(attach(STAGE.run_id, store=url).cancel)
        ended = new.end()
    assert ended.state == {"stop": "INTERRUPTED", "cancel": "CANCELLED"}[command]
    with pytest.raises(Fenced):
        old.wait(60)


@pytest.mark.parametrize("paused", [False, True], ids=["waiting", "paused"])
def test_J3_an_executor_that_waits_is_told_that_the_run_was_taken_over(url, monkeypatch, paused):
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.05)
    deaf = HeldStore(url, "list", "/inbox")
    old = waiting_at(asked_twice, url, "first", deaf)
    if paused:
        old.pause()
        assert _until(lambda: read_beat(Store(url), STAGE.run_id).paused)
    new = taking_over(url)
    for gate, value in (("first", 1), ("second", 5)):
        waits(url, gate)
        answered(url, gate, value).end()
    assert new.end().result == 6
    deaf.go.set()
    STAGE.leave.set()
    with pytest.raises(Fenced):
        old.wait(2)


class StandingClock(MockClock):
    """A clock that does not go on before it is let."""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()

    def wait(self, event, seconds):
        if self.go.is_set():
            super().wait(event, seconds)
        else:
            self.go.wait(0.01)


def test_J3_who_sleeps_through_a_take_over_wakes_for_nothing(url):
    clock = StandingClock()
    old = waiting_at(slept, url, "sleep", clock=clock)
    assert resume(STAGE.run_id, store=url, take_over=True, clock=MockClock(), **QUIET).result == 3
    assert (STAGE.of("old"), STAGE.of("new")) == (["after 1"], ["after 2"])
    before = everything(url)
    STAGE.leave.set()
    clock.go.set()
    check_the_loser(old, url, before)
    assert len(STAGE.of("old")) <= 2


def test_J3_who_waits_at_a_gate_in_an_arm_or_a_map_is_overtaken_like_any(url):
    @workflow
    def each(n: int) -> int:
        return conditional("asks").if_(promise(after_gate(n)) > 1).then(after_gate(approve(n, "each"))).else_().then(n)

    @workflow
    def flow() -> list[int]:
        return map_task(each)(n=[0, 5, 0])

    store = HeldStore(url, "put_new", "/journal/", armed=False)
    old = start(flow, store=store, run_id=STAGE.run_id, **QUIET)
    there = attach(STAGE.run_id, store=url)
    assert _until(lambda: "WAITING" in nodes_of(there).values())
    store.armed.set()
    asker = answered(url, "each", True)
    assert store.reached.wait(60)
    assert resume(STAGE.run_id, store=url, take_over=True, **QUIET).result == [0, 6, 0]
    assert asker.end() is None
    assert STAGE.of("new") == ["after 5"]
    before = everything(url)
    STAGE.leave.set()
    store.go.set()
    check_the_loser(old, url, before)


# --- real processes ---

MODULE = """
import os, sys
from promissory import Store, attach, resume, start
from promissory.errors import Fenced, RunFailed, WorkflowCancelled
from promissory.executor.protocol.events import LOOPED, RETRIED, SIGNALLED, NODE_SKIPPED, STOPPED_BY
from promissory.executor.journal.segment import segment_from_bytes
from functools import partial
from promissory import Context, Loop, NodeFailure, Retry, Skip, conditional, dynamic, promise, task, workflow

SIGNALS = (LOOPED, RETRIED, SIGNALLED, NODE_SKIPPED, STOPPED_BY)

def began(what, gates=True):
    descriptor = os.open("started", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{os.environ['WHO']} {what}\\n".encode())
    os.close(descriptor)
    if gates and what == os.environ.get("HELD"):
        open(os.environ["GATE"]).read()

class Standing(Store):
    # The process stands still for ever before or after the segment that tells of the signal.
    def put_new(self, key, data, *, durable=True):
        tells = "/journal/" in key and any(event[0] in SIGNALS for event in segment_from_bytes(data, key).events)
        if tells and os.environ["WHEN"] == "before":
            self.stand(key)
        was_new = super().put_new(key, data, durable=durable)
        if tells and os.environ["WHEN"] == "after":
            self.stand(key)
        return was_new

    def stand(self, key):
        began("stands " + key.split("/")[1], gates=False)
        open(os.environ["GATE"]).read()

@task
def extra(ctx: Context, n: int) -> int:
    began("extra")
    ctx.channel().add("extra", n)
    return n

@task
def turns(ctx: Context, n: int) -> int:
    began(f"turn {n}.{ctx.loop_index}")
    ctx.channel().add("turns")
    if ctx.loop_index < n:
        raise Loop()
    return n

@dynamic
def rounds(ctx: Context) -> int:
    began(f"round {ctx.loop_index}")
    if ctx.loop_index < 2:
        raise Loop(turns(ctx.loop_index))
    return ctx.loop_result

@task(retries=1)
def sender(ctx: Context, what: str) -> str:
    began(f"{what} sender")
    ctx.channel().add("sent")
    if what == "more":
        ctx.next_task(extra, n=1)
    if what == "goto":
        ctx.next_task("refuge", goto=True)
    if what == "terminate":
        ctx.terminate("enough")
    if what == "cancel":
        ctx.cancel("not valid")
    if what == "skip":
        raise Skip("nothing to do")
    if what == "retry" and ctx.attempt == 1:
        raise Retry(after=0)
    return what

@task
def follower(what: str) -> str:
    began("follower")
    return what

@task
def refuge() -> int:
    began("refuge")
    return 1

@task
def fails(n: int) -> int:
    raise ValueError(n)

@task
def instead(n: int, err: NodeFailure) -> int:
    began("instead")
    return 7

@task
def told(ctx: Context) -> str:
    began("told")
    return " ".join(f"{key}={ctx.channel().get(key)}" for key in ctx.channel().keys())

@workflow
def signal(what: str) -> str:
    followed = promise(follower(sender(what)))
    refuges = promise(refuge()).with_overrides(name="refuge", standby=True)
    last = promise(told()).with_overrides(trigger="all_done")
    [followed, refuges] >> last
    return last

@workflow
def flow() -> str:
    first, mapped = promise(rounds()), promise(turns.map([0, 1, 2]))
    sent = promise(sender("goto"))
    followed = promise(follower(sent))
    refuges = promise(refuge()).with_overrides(name="refuge", standby=True)
    saved = promise(fails(1)).on_error(partial(instead, n=1))
    chosen = promise(conditional("c").if_(promise(saved) == 7).then(extra(10)).else_().then(0))
    first >> mapped
    mapped >> sent
    last = promise(told()).with_overrides(trigger="all_done")
    [refuges, chosen, followed] >> last
    return last
"""

GO = """
import sys, work
from promissory import start
if __name__ == "__main__":
    how = {"engine": sys.argv[1], "max_parallelism": 1, "echo": False}
    runs = [start(work.signal, {"what": what}, run_id=what, store=work.Standing("store"), **how)
            for what in sys.argv[2:]] or [start(work.flow, run_id="fenced", **how)]
    for one in runs:
        print(one.wait().result)
"""

AGAIN = """
import sys
from promissory import resume
if __name__ == "__main__":
    for run_id in sys.argv[2:]:
        ended = resume(run_id, engine=sys.argv[1], max_parallelism=1, take_over=True, echo=False)
        try:
            print(ended.state, ended.result, sep="|")
        except Exception as error:
            print(ended.state, type(error).__name__, sep="|")
"""


@pytest.fixture
def author(project):
    """The files of the test's author."""
    for name, source in (("work.py", MODULE), ("go.py", GO), ("again.py", AGAIN)):
        project.write(name, source)
    return project


def by(project, who):
    return [line.partition(" ")[2] for line in project.lines("started") if line.startswith(f"{who} ")]


FLOW = "SUCCEEDED|extra=10 sent=1 turns=9"
HELD = [
    ("inline", "turn 2.1"),
    ("inline", "refuge"),
    ("processes", "round 1"),
    ("processes", "goto sender"),
    ("threads", "instead"),
]


@pytest.mark.full
@pytest.mark.parametrize(("engine", "label"), HELD)
def test_J3_a_process_that_was_stopped_in_the_middle_of_it_wakes_and_changes_nothing(author, gate, engine, label):
    old_gate = gate("old")
    old = author.spawn("go.py", engine, WHO="old", HELD=label, GATE=old_gate.path)
    old_gate.reached()
    old.send_signal(signal.SIGSTOP)
    is_finished = {
        row.path
        for row in attach("fenced", store=author.store).nodes(items=True)
        if row.state in ("SUCCEEDED", "SKIPPED")
    }
    assert author.python("again.py", engine, "fenced", WHO="new").strip() == FLOW
    url = author.store.url.removeprefix("file://")
    before = everything(url)
    old_gate.open()
    old.send_signal(signal.SIGCONT)
    output, errors = author.finish(old)
    assert (old.returncode, output) == (1, "")
    assert "errors.Fenced: run fenced was taken over by another executor" in errors
    after = everything(url)
    assert {key for key in before if after.get(key) != before[key]} == set()
    assert not [key for key in after.keys() - before.keys() if not key.startswith("objects/")]
    assert [finding for finding in examine(author.store, "fenced") if finding.severity != NOTE] == []
    repeated = Counter(by(author, "new"))
    assert max(repeated[one] for one in repeated if one not in ("turn 0.0", "turn 1.0", "turn 1.1", "extra")) == 1
    if "main/turns" in is_finished:
        assert "turn 2.0" not in repeated
    assert "follower" not in repeated, "it was jumped over"


SIGNALLED = {
    "more": "SUCCEEDED|extra=1 sent=1",
    "goto": "SUCCEEDED|sent=1",
    "terminate": "TERMINATED|OutputUnavailable",
    "cancel": "CANCELLED|WorkflowCancelled",
    "skip": "SUCCEEDED|sent=1",
    "retry": "SUCCEEDED|sent=1",
}


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("engine", "signals"), [("inline", [*SIGNALLED]), ("processes", ["goto", "cancel"])], ids=["inline", "processes"]
)
def test_J1_killed_right_before_or_after_the_commit_of_a_signal_it_counts_once(
    author, gate, eventually, engine, signals, when
):
    old = author.spawn("go.py", engine, *signals, WHO="old", WHEN=when, GATE=gate("old").path)

    def all_stand():
        assert old.poll() is None, author.finish(old)[1]
        return sum(line.startswith("stands") for line in by(author, "old")) == len(signals)

    eventually(all_stand, "every signal at its commit")
    old.kill()
    old.wait()
    printed = author.python("again.py", engine, *signals, WHO="new").splitlines()
    assert dict(zip(signals, printed, strict=True)) == {what: SIGNALLED[what] for what in signals}
    again = Counter(line.partition(" ")[0] for line in by(author, "new") if line.endswith(" sender"))
    again["retry"] = min(again["retry"], 1)  # its second attempt may be in the same commit as the first
    assert +again == Counter(signals) if when == "before" else set(+again) <= {"cancel", "retry"}, (
        "a run that was cancelled asks again"
    )
