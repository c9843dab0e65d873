"""Plan format: one byte string for one plan, and nothing run or imported by reading it."""

import subprocess
import sys
import textwrap

import pytest

from promissory import Plan, dynamic, task, workflow
from promissory.errors import PlanFormatError
from promissory.planner.plan.format import FuturesHeader, futures_from_bytes, futures_to_bytes
from promissory.planner.plan.shape_format import callee_bytes, callee_from_bytes


@task
def inc(x: int, by: int = 1) -> int:
    return x + by


@dynamic(max_depth=7, allow_repeat=True)
def deep(xs: list[int]) -> int:
    return 0


@workflow
def nested(x: int) -> int:
    return inc(x)


@workflow
def small(x: int = 3) -> list[int]:
    first = inc(x).with_overrides(name="first")
    second = deep([first, nested(x), 7])
    first >> second
    return [second, x]


@workflow
def large(x: int) -> int:
    return deep(list(range(5000)))


@workflow
def empty(x: int) -> None:
    pass


PLANS = [small.compile(), large.compile(), empty.compile()]
SMALL = PLANS[0].to_bytes()
HEADER = FuturesHeader(b"p" * 16, 5, 2)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_plan_bytes_are_read_back_as_the_same_plan(plan):
    read = Plan.from_bytes(plan.to_bytes())
    assert read == plan
    assert (read.to_bytes(), read.digest, str(read)) == (plan.to_bytes(), plan.digest, str(plan))
    read.verify()


def test_a_plan_is_saved_and_loaded(tmp_path):
    small.compile().save(tmp_path / "a.plan")
    assert Plan.load(tmp_path / "a.plan").digest == PLANS[0].digest
    assert (tmp_path / "a.plan").read_bytes() == SMALL


def test_a_large_literal_lies_behind_the_shape_and_only_once():
    @workflow
    def twice() -> int:
        deep(list(range(5000)))
        return deep(list(range(5000)))

    assert len(twice.compile().literals) == 1
    assert len(twice.compile().to_bytes()) - len(PLANS[1].to_bytes()) < 100


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_D1_a_futures_file_holds_the_plan_and_who_emitted_it(plan):
    read, header = futures_from_bytes(futures_to_bytes(plan, HEADER))
    assert header == HEADER
    assert read.shape == plan.shape
    assert read.literals == plan.literals
    assert Plan.from_bytes(futures_to_bytes(plan, HEADER)).digest == plan.digest


def test_D1_a_plan_file_is_no_futures_file():
    with pytest.raises(PlanFormatError, match="is a plan file"):
        futures_from_bytes(SMALL)


@pytest.mark.parametrize("entity", [inc, deep])
def test_a_callee_travels_complete_in_itself(entity):
    assert callee_from_bytes(callee_bytes(entity.callee())) == entity.callee()


READER = """
    import sys
    from promissory import Plan
    warm, data = (open(path, "rb").read() for path in sys.argv[1:])
    first = Plan.from_bytes(warm)
    first.digest, first.show(), first.to_mermaid(), first.verify()  # what is ours is loaded now
    seen = []
    sys.addaudithook(lambda event, args: seen.append((event, str(args)[:80])))
    plan = Plan.from_bytes(data)
    plan.digest, plan.show(), plan.to_mermaid(), plan.verify()
    acts = ("import", "exec", "compile", "open", "code.", "function.")
    acts += ("pickle.", "marshal.", "os.", "subprocess.", "socket.", "ctypes.")
    print([one for one in list(seen) if one[0].startswith(acts)], "named_code" in sys.modules)
"""


def test_T1_reading_a_plan_imports_nothing_and_runs_nothing(write_module, tmp_path):
    module = write_module(
        "named_code",
        """
        from dataclasses import dataclass
        from enum import Enum
        from typing import Any
        from promissory import task, workflow

        class Kind(Enum):
            ONE = 1

        @dataclass
        class Row:
            kind: Kind
            values: list[float]

        @task
        def use(row: Row, more: Any = Row(Kind.ONE, [])) -> Row:
            return row

        @workflow
        def flow(x: float) -> Row:
            return use(use(Row(Kind.ONE, [x, 2.0])), {"a": Row(Kind.ONE, [3.0])})
        """,
    )
    module.flow.compile().save(tmp_path / "data.plan")
    small.compile().save(tmp_path / "warm.plan")
    command = [sys.executable, "-c", textwrap.dedent(READER), "warm.plan", "data.plan"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert ran.stdout.strip() == "[] False"


@pytest.mark.parametrize("calls", [1_000, 10_000])
def test_a_long_chain_costs_at_most_sixteen_bytes_a_node(calls):
    @workflow
    def chain(x: int) -> int:
        for _ in range(calls):
            x = inc(x)
        return x

    @workflow
    def one(x: int) -> int:
        return inc(x)

    grown = len(chain.compile().to_bytes()) - len(one.compile().to_bytes())
    assert grown / (calls - 1) <= 16
