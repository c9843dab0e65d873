"""P2: the way out of a refusal fits the place where it is said."""

import pytest

from promissory import conditional, dynamic, promise, run, task, workflow
from promissory.errors import PromiseError


@task
def one() -> int:
    return 1


MISUSES = {
    "truth": lambda p: bool(p),
    "arithmetic": lambda p: p + 1,
    "field": lambda p: p.bit_length(),
    "item": lambda p: p[0],
    "comparison": lambda p: bool(p > 1),
    "iteration": lambda p: list(p),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_P2_a_refusal_in_a_dynamic_does_not_say_make_it_dynamic(misuse):
    @dynamic
    def grows(n: int) -> int:
        MISUSES[misuse](promise(one()))
        return one()

    said = str(run(grows, {"n": 1}, store="memory://refused").error)
    assert "before the run" in said or "has no" in said or "no items" in said
    assert "make the function @dynamic" not in said
    assert "do it in a task, or in another dynamic that is given it" in said


@pytest.mark.parametrize("misuse", MISUSES)
def test_P2_a_refusal_in_a_workflow_says_so(misuse):
    @workflow
    def flow() -> int:
        MISUSES[misuse](promise(one()))
        return one()

    with pytest.raises(PromiseError, match="make the function @dynamic"):
        flow.compile()


def test_P2_a_refusal_in_an_arm_of_a_dynamic_neither():
    @dynamic
    def grows(n: int) -> int:
        taken = promise(one())
        return conditional("c").if_(taken > 0).then(one() + n).else_().then(2)

    said = str(run(grows, {"n": 1}, store="memory://refused").error)
    assert "make the function @dynamic" not in said
