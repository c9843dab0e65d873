"""What a plan's text says of its tasks' options, and of options that can't have an effect."""

import warnings
from datetime import timedelta

import pytest

from promissory import Plan, Resources, Workflow, compile, dynamic, map_task, task, workflow
from promissory.errors import NoEffectWarning


@task(retries=3, retry_delay=[1, 5], backoff=2, retry_on=(OSError, ValueError), timeout=timedelta(minutes=1))
def patient(x: int) -> int:
    return x


@task(cache=True, cache_version="7", cache_ignore=("x",), pool="db", resources=Resources(2, "1.5GiB", 1))
def costly(x: int) -> int:
    return x


@task(commit="each", max_iterations=5)
def careful(x: int) -> int:
    return x


@task
def plain(x: int) -> int:
    return x


@workflow
def flow(x: int) -> list[int]:
    return [
        patient(x),
        costly(x),
        careful(x),
        plain(x),
        plain(x).with_overrides(retries=2, name="often"),
        *[],
    ]


def test_A5_the_text_of_a_plan_shows_the_options_of_each_call():
    assert str(flow.compile()).splitlines()[1:6] == [
        "  patient : int = task patient(x=x) retries 3 after 1 s, 5 s × 2 of OSError, ValueError timeout 60 s",
        "  costly  : int = task costly(x=x) cache 7 but x pool db resources cpu 2 memory 1536 MiB gpu 1",
        "  careful : int = task careful(x=x) commit each at most 5 iterations",
        "  plain   : int = task plain(x=x)",
        "  often   : int = task plain(x=x) retries 2",
    ]


def test_A5_a_plan_that_came_as_bytes_shows_the_same():
    plan = flow.compile()
    assert Plan.from_bytes(plan.to_bytes()).show(code=True) == plan.show(code=True)


def test_A5_a_plan_shows_its_code():
    shown = flow.compile().show(code=True).partition("\ncode\n")[2].splitlines()
    assert [line.split()[0].rpartition(":")[2] for line in shown] == ["patient", "costly", "careful", "plain"]
    assert all(len(line.split()[1]) == 16 for line in shown)


def test_A7_options_without_effect_are_told_all_at_once_when_a_plan_is_compiled():
    @task(cache_version="2", cache_serialize=True)
    def first(x: int) -> int:
        return x

    @task(retry_delay=2.0, backoff=2.0, jitter=0.5)
    def second(x: int) -> int:
        return x

    @dynamic(retry_on=OSError)
    def third(x: int) -> int:
        return x

    @workflow
    def doubtful() -> list[int]:
        return [first(1), second(2), third(3), first(4)]

    with pytest.warns(NoEffectWarning) as told:
        doubtful.compile()
    assert len(told) == 1
    said = str(told[0].message).splitlines()
    assert [line for line in said if not line.startswith("  at ")] == [
        "first: cache_version and cache_serialize have no effect without cache=True",
        "second: retry_delay, backoff and jitter have no effect without retries=",
        "third: retry_on has no effect without retries=",
    ]
    assert all("test_options_told.py" in line for line in said if line.startswith("  at "))


def test_A7_an_option_that_is_written_as_it_would_be_anyway_is_told_too():
    @task(cache_version="1", backoff=1.0)
    def first(x: int) -> int:
        return x

    with pytest.warns(NoEffectWarning) as told:
        compile(first)
    assert str(told[0].message).splitlines()[0] == "first: backoff has no effect without retries="
    assert "first: cache_version has no effect without cache=True" in str(told[0].message)


def test_A7_an_option_that_a_call_gives_effect_is_not_told():
    @task(cache_version="2", retry_delay=1.0)
    def first(x: int) -> int:
        return x

    @workflow
    def well() -> list[list[int]]:
        return [map_task(first)(x=[1]), map_task(first)(x=[2]).with_overrides(cache=True, retries=1)]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        well.compile()
    by_hand = Workflow("by_hand")
    by_hand.add_entity(first, x=1)
    with pytest.warns(NoEffectWarning, match="first: retry_delay has no effect"):
        by_hand.compile()
