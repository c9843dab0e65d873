"""P1: the order of calls (`a >> b`) and the names of nodes."""

from typing import Any, NamedTuple

import pytest

from promissory import task, workflow
from promissory.errors import PromiseError


class Pair(NamedTuple):
    left: int
    right: int


@task
def pair() -> Pair:
    return Pair(1, 2)


@task
def use(x: Any) -> int:
    return 1


@task
def log() -> None:
    pass


def compile_with(body):
    @workflow
    def flow(x: int) -> None:
        body(x)

    flow.compile()


def test_P1_order_takes_promises_and_lists_and_chains():
    @workflow
    def flow() -> None:
        a, b, c, d = log(), log(), log(), log()
        a >> [b, c] >> d
        a >> d

    assert [node.after for node in flow.compile().nodes()] == [(), (0,), (0,), (0, 1, 2)]


def test_P1_a_later_call_may_be_ordered_before_an_earlier_one():
    @workflow
    def flow() -> int:
        first = use(1)
        log() >> first
        return first

    plan = flow.compile()
    assert [(node.name, node.after) for node in plan.nodes()] == [("log", ()), ("use", (0,))]
    assert str(plan).endswith("return use")
    plan.verify()


@pytest.mark.parametrize(
    "order", [lambda x: x >> log(), lambda x: log() >> x, lambda x: log() >> 3, lambda x: [log(), 3] >> log()]
)
def test_P1_only_calls_can_be_ordered(order):
    with pytest.raises(PromiseError, match=r">> orders calls, and .* is not one") as caught:
        compile_with(order)
    assert caught.value.way_out == "order what calls give: a() >> b()"


def test_P1_with_overrides_names_the_node():
    @workflow
    def flow() -> int:
        named = use(1).with_overrides(name="first")
        return use(named)

    assert [node.name for node in flow.compile().nodes()] == ["first", "use"]


@pytest.mark.parametrize("part", [lambda x: x, lambda x: pair().left])
def test_P1_only_a_call_can_be_overridden(part):
    with pytest.raises(PromiseError, match=r"with_overrides\(\) is for what a call gives"):
        compile_with(lambda x: part(x).with_overrides(name="a"))
