"""`simulate`: what bodies ask by calls of their context, and declarations that no node has as its name."""

import pytest

from promissory import task, workflow
from promissory.testing import Asks, InTurn, SimulationError, simulate


@task
def asks() -> int:
    raise NotImplementedError


@task
def follows(x: int) -> int:
    raise NotImplementedError


@task
def added(n: int) -> int:
    raise NotImplementedError


@workflow
def asking() -> int:
    return follows(asks())


def test_S5_a_simulated_body_ends_the_run_early():
    ended = simulate(asking, {"asks": Asks(lambda ctx: ctx.terminate("known", outputs=7))})
    assert (ended.state, ended.reason, ended.result, ended.paths) == ("TERMINATED", "known", 7, ["main/asks"])


def test_S6_a_simulated_body_cancels():
    assert simulate(asking, {"asks": Asks(lambda ctx: ctx.cancel("no"))}).state == "CANCELLED"


def test_S4_a_simulated_body_adds_work_in_each_of_its_iterations():
    def ask(ctx):
        ctx.next_task(added, n=ctx.loop_index)
        if ctx.loop_index < 2:
            ctx.next_iteration()

    ended = simulate(asking, {"asks": Asks(ask, 1), "added": 0, "follows": 5})
    assert ended.result == 5
    assert [path.rpartition("/")[2] for path in ended.paths] == [
        "asks",
        "added",
        "asks[=1]",
        "added",
        "asks[=2]",
        "added",
        "follows",
    ]


def test_S7_what_a_simulated_body_writes_others_read():
    seen = []
    outcomes = {
        "asks": Asks(lambda ctx: ctx.channel().add("n", 3), 1),
        "follows": Asks(lambda ctx: seen.append(ctx.channel().get("n")), 2),
    }
    assert simulate(asking, outcomes).result == 2
    assert seen == [3]


def test_S_what_a_simulated_body_may_not_ask_is_its_failure():
    ended = simulate(asking, {"asks": Asks(lambda ctx: ctx.next_task("nowhere", goto=True), 1)})
    assert ended.state == "FAILED"
    assert "no such node" in ended.reason


@pytest.mark.parametrize("slip", ["aks", "main/aks", "aks[3]", "main/asks/inner"])
def test_an_outcome_that_is_no_nodes_is_refused_with_the_names_that_there_are(slip):
    with pytest.raises(
        SimulationError, match=r"which no node has as its name; there is: asking, asks, follows|there is: asks, follows"
    ):
        simulate(asking, {slip: InTurn(1, 2), "follows": 2})
