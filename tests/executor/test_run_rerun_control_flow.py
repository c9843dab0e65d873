"""A rerun from inside maps, loops and branches takes all that does not depend on where it begins."""

import pytest

from executor import rerun, run
from planner import Context, Loop, conditional, dynamic, map_task, task, workflow

RAN = []


@pytest.fixture(autouse=True)
def nothing_ran():
    RAN.clear()


@task
def noted(name: str, n: int) -> int:
    RAN.append(f"{name} {n}")
    return n + 1


@task
def item(n: int) -> int:
    return noted("item", n)


@task
def total(xs: list[int]) -> int:
    RAN.append("total")
    return sum(xs)


@task
def climb(ctx: Context, n: int) -> int:
    RAN.append(f"climb {ctx.loop_index}")
    if ctx.loop_index == n:
        return n
    raise Loop()


@dynamic
def rounds(ctx: Context, n: int) -> int:
    if ctx.loop_index == n:
        return ctx.loop_result
    raise Loop(noted("round", ctx.loop_index))


@workflow
def flow(n: int) -> int:
    mapped = map_task(item)(n=[1, 2, 3])
    looped = climb(n)
    chosen = conditional("way").if_(looped > 1).then(noted("high", looped)).else_().then(noted("low", looped))
    return total([total(mapped), chosen, rounds(3)])


def again(where):
    first = run(flow, {"n": 2}, store="memory://rerun-control", echo=False)
    RAN.clear()
    second = rerun(first.id, from_=where, store="memory://rerun-control", echo=False)
    assert second.result == first.result == 9 + 3 + 3
    return RAN


def test_R6_from_an_item_the_other_items_stay():
    assert again("main/item[1]") == ["item 2", "total", "total"]


def test_R6_from_a_map_all_its_items_run():
    assert again("main/item") == ["item 1", "item 2", "item 3", "total", "total"]


def test_R6_from_a_loop_all_its_iterations_run_and_what_depends_on_them():
    assert sorted(again("main/climb")) == ["climb 0", "climb 1", "climb 2", "high 2", "total"]


def test_R6_from_inside_an_arm_the_choice_stays():
    assert again("main/way/noted") == ["high 2", "total"]


def test_R6_from_inside_an_iteration_those_before_it_stay():
    assert again("main/rounds[=1]/noted") == ["round 1", "round 2", "total"]


def test_R6_from_behind_everything_nothing_else_runs():
    assert again("main/total~2") == ["total"]
