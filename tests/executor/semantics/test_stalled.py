"""S4, X8: a run that did nothing is not a success: what "ended" means, when a frame closes, when a run is STALLED."""

import pytest

from promissory import (
    Context,
    FailurePolicy,
    Skip,
    Store,
    Workflow,
    attach,
    conditional,
    dynamic,
    map_task,
    resume,
    run,
    task,
    workflow,
)
from promissory.errors import RunFailed, RunStalled
from promissory.testing import always_replay, simulate

RAN = []


@pytest.fixture(autouse=True)
def _afresh():
    RAN.clear()


@task
def say(word: str) -> str:
    RAN.append(word)
    return word


@task
def takes(word: str, other: str) -> str:
    RAN.append(f"{word} {other}")
    return word


@task
def sends(ctx: Context, to: str, x: str = "") -> str:
    """Jumps to a node whose name the source does not tell."""
    RAN.append("sends")
    if to:
        ctx.next_task(to, goto=True)
    return x


@task
def adds(ctx: Context, to: str) -> str:
    """Adds a node whose name the source does not tell."""
    RAN.append(f"adds {to}")
    if to:
        ctx.next_task(to)
    return to


@task
def fails() -> None:
    RAN.append("fails")
    raise ValueError("no")


@workflow
def asleep() -> str:
    """Only `sends` could wake the node that it waits for."""
    return sends("asleep", say("first").with_overrides(name="asleep", standby=True))


@workflow
def asleep_twice() -> None:
    """Two nodes on standby: each could wake only the other."""
    sends("b").with_overrides(name="a", standby=True)
    sends("a").with_overrides(name="b", standby=True)


with Workflow("crossing") as crossing:
    """Each sender's follower waits for what the other sender's follower comes before."""
    _a, _b = adds("t1").with_overrides(name="a"), adds("t2").with_overrides(name="b")
    _f1, _f2 = say("f1").with_overrides(name="f1"), say("f2").with_overrides(name="f2")
    _t1, _t2 = say("t1").with_overrides(name="t1"), say("t2").with_overrides(name="t2")
    _a >> _f1
    _b >> _f2
    _f2 >> _t1
    _f1 >> _t2


def carried(target, inputs=None, **options):
    return run(target, inputs or {}, store=Store(None), echo=False, durability="process", **options)


def states(ended):
    return {row.path: row.state for row in ended.nodes()}


def stalled(target, inputs=None, **options):
    ended = carried(target, inputs, **options)
    assert ended.state == "STALLED"
    with pytest.raises(RunStalled) as caught:
        _ = ended.result
    assert isinstance(caught.value, RunFailed)
    return ended, str(caught.value)


# --- what does nothing is STALLED ---


def test_X8_standby_that_only_a_node_behind_it_could_lift_ends_nothing():
    ended, message = stalled(asleep)
    assert RAN == []
    assert states(ended) == {"main/asleep": "PENDING", "main/sends": "PENDING"}
    assert "main/asleep" in message and "main/sends" in message


def test_X8_two_nodes_on_standby_that_only_lift_each_other_stall():
    ended, message = stalled(asleep_twice)
    assert states(ended) == {"main/a": "PENDING", "main/b": "PENDING"}
    assert "main/a" in message and "main/b" in message


def test_X8_followers_that_wait_for_each_others_added_work_do_not_end_well():
    """It is refused when it is asked for (it leads to its sender's follower), or the run stalls: it never crashes."""
    ended = carried(crossing)
    assert ended.state in ("FAILED", "STALLED")
    assert "t1" in str(ended.error) or "t2" in str(ended.error)


def test_X8_a_frame_inside_stalls_the_run_and_is_not_skipped():
    @workflow
    def outer() -> str:
        return say(asleep())

    ended, message = stalled(outer)
    assert states(ended)["main/asleep"] == "EXPANDED"
    assert "main/asleep/asleep" in message


def test_X8_a_frame_of_a_dynamic_stalls_the_run():
    @dynamic
    def grows() -> str:
        return asleep()

    _, message = stalled(grows)
    assert "grows" in message


def test_X8_a_frame_in_an_item_stalls_the_run():
    @workflow
    def item(x: str) -> str:
        return sends("asleep", say(x).with_overrides(name="asleep", standby=True))

    @workflow
    def work() -> list[str]:
        return map_task(item)(x=["a", "b"])

    stalled(work)


def test_X8_a_frame_in_an_arm_stalls_the_run():
    @workflow
    def work(n: int) -> str:
        return conditional("which").if_(say("look") == "look").then(asleep()).else_().then("no")

    stalled(work, {"n": 1})
    assert RAN == ["look"]


def test_X8_what_could_go_on_goes_on_before_a_run_stalls():
    @workflow
    def work() -> str:
        first = sends("later", say("first").with_overrides(name="later", standby=True))
        say("besides")
        return first

    ended = carried(work)
    assert "besides" in RAN
    assert ended.state == "STALLED"


def test_X8_a_failure_decides_a_run_that_would_stall():
    @workflow(failure_policy=FailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
    def work() -> str:
        fails()
        return asleep()

    ended = carried(work)
    assert ended.state == "FAILED"
    assert "main/fails" in str(ended.error)


def test_X8_a_node_behind_standby_does_not_keep_a_failed_run_from_its_end():
    """FAIL_AFTER_EXECUTABLE: the failure comes last, when all that is left waits for a node on standby."""

    @workflow(failure_policy=FailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
    def work() -> str:
        sends("") >> fails()
        return say(say("asleep").with_overrides(name="asleep", standby=True))

    ended = carried(work)
    assert ended.state == "FAILED"
    assert RAN == ["sends", "fails"]
    assert set(states(ended).values()) <= {"SUCCEEDED", "FAILED", "SKIPPED", "CANCELLED"}


# --- what a stalled run is ---


def test_X8_run_raises_nothing_and_result_says_what_waits_for_what():
    _, message = stalled(asleep)
    assert "main/sends" in message and "waits" in message


def test_X8_a_plain_call_raises_it():
    with pytest.raises(RunStalled):
        asleep()


def test_X8_a_resume_tries_again_and_stalls_again(tmp_path):
    store = Store(tmp_path / "store")
    ended = run(asleep, store=store, run_id="r", echo=False)
    assert ended.state == "STALLED"
    again = resume("r", store=store, echo=False)
    assert again.state == "STALLED"
    assert attach("r", store=store).state == "STALLED"


def test_X8_simulation_says_the_same():
    assert simulate(asleep, {"say": "", "sends": ""}).state == "STALLED"


def test_X8_replay_gives_the_same():
    with always_replay():
        assert carried(asleep).state == "STALLED"


# --- what ends well still does ---


def test_X8_standby_is_skipped_when_a_task_that_could_have_sent_has_ended():
    @workflow
    def work() -> str:
        say("asleep").with_overrides(name="asleep", standby=True)
        return sends("")

    ended = carried(work)
    assert ended.state == "SUCCEEDED"
    assert states(ended)["main/asleep"] == "SKIPPED"


def test_X8_standby_behind_standby_is_skipped_with_it():
    """A node that was skipped has ended, so what it could have lifted is skipped too."""

    @workflow
    def work() -> str:
        sends("two").with_overrides(name="one", standby=True)
        say("two").with_overrides(name="two", standby=True)
        return sends("")

    ended = carried(work)
    assert ended.state == "SUCCEEDED"
    assert states(ended) == {"main/one": "SKIPPED", "main/two": "SKIPPED", "main/sends": "SUCCEEDED"}


def test_X8_standby_is_skipped_when_its_sender_was_skipped():
    @task
    def skips() -> str:
        raise Skip("not today")

    @workflow
    def work() -> str:
        sends("asleep", skips())
        return say(say("asleep").with_overrides(name="asleep", standby=True))

    ended = carried(work)
    assert ended.state == "SUCCEEDED"
    assert set(states(ended).values()) == {"SKIPPED"}


def test_X8_a_succeeded_run_has_no_node_that_has_not_ended():
    @workflow(on_failure=say)
    def work(word: str) -> str:
        say("asleep").with_overrides(name="asleep", standby=True)
        return sends("")

    ended = carried(work, {"word": "clean up"})
    assert ended.state == "SUCCEEDED"
    assert set(states(ended).values()) <= {"SUCCEEDED", "SKIPPED"}
