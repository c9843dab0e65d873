"""B1: a choice is data in the plan.

What an arm is, what it gives, what a condition may be, and what is said when it is wrong.
"""

import enum
import hashlib
import os
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from promissory import Plan, Workflow, conditional, dynamic, task, workflow
from promissory.errors import (
    BranchError,
    CompileErrors,
    DuplicateName,
    EdgeTypeError,
    LeakedPromise,
    OrderCycle,
    OverrideError,
    PlanError,
    PromiseError,
    StaticRecursion,
    WrongCall,
)
from promissory.planner.active import current
from promissory.planner.plan.advice import advice
from promissory.planner.plan.specs import Arm
from promissory.planner.plan.verify import verify
from promissory.typesys.types import INT


class Color(enum.Enum):
    RED = "z"
    BLUE = "a"


@dataclass
class Row:
    count: int
    done: bool


@task
def big(n: int) -> int:
    return n * 10


@task
def small(n: int) -> int:
    return n


@task
def half(n: int) -> float:
    return n / 2


@task
def text(n: int) -> str:
    return str(n)


@task
def nothing(n: int) -> None:
    pass


@task
def maybe(n: int) -> int | None:
    return n or None


@task
def flag(n: int) -> bool:
    return n > 3


@task
def numbers(n: int) -> list[int]:
    return list(range(n))


@task
def table(n: int) -> dict[str, int]:
    return {"n": n}


@task
def either(n: int) -> int | str:
    return n


@task
def anything(n: int) -> Any:
    return n


@task
def row(n: int) -> Row:
    return Row(n, True)


@task
def unsure(x: int | None) -> int:
    return x or 0


@workflow
def tens(n: int) -> int:
    return small(big(n))


@dynamic
def grown(n: int) -> int:
    return big(n)


@workflow
def sized(n: int) -> int:
    return conditional("size").if_(n > 10).then(big(n)).elif_(n == 5).then(7).else_().fail("neither")


def branch_of(plan):
    """The one branch of a plan's outermost graph."""
    (spec,) = plan.graph.specs.values()
    return spec


def compiled(body):
    """The plan of a body; reading back what it writes gives the same."""
    plan = workflow(body).compile()
    data = plan.to_bytes()
    again = Plan.from_bytes(data)
    assert (again.to_bytes(), again.digest, again.show()) == (data, plan.digest, plan.show())
    verify(again)
    return plan


# --- data in the plan -------------------------------------------------------------------------------------------------


def test_B1_a_branch_is_one_line_of_the_plan_and_its_arms_are_plans_of_their_own():
    assert sized.compile().show() == textwrap.dedent("""\
        plan sized(n: int) -> int
          size : int = branch(n > 10: plan size.1(in0=n), n == 5: plan size.2(), else: fail 'neither')
          return size

        plan size.2() -> int
          return 7

        plan size.1(in0: int) -> int
          big : int = task big(n=in0)
          return big""")


def test_B1_a_branch_is_a_diamond_of_the_chart_tied_to_the_charts_of_its_arms():
    chart = sized.compile().to_mermaid().splitlines()
    assert '  g0n0{"size"}' in chart
    assert [line for line in chart if "-.-o" in line] == ["  g0n0 -.-o g2", "  g0n0 -.-o g1"]


def test_B1_the_bytes_of_a_branch_read_back_as_the_same_plan():
    plan = sized.compile()
    again = Plan.from_bytes(plan.to_bytes())
    assert again.to_bytes() == plan.to_bytes()
    assert again.digest == plan.digest
    assert branch_of(again) == branch_of(plan)


def test_B1_the_bytes_of_nested_branches_read_back_as_the_same_plan():
    def nested(n: int) -> int | None:
        inner = conditional("inner").if_(n > 5).then(big(n)).else_().then(small(n))
        return conditional("outer").if_(n > 3).then(inner).elif_(n == 0).then(conditional("other").if_(n < 0).then(1))

    compiled(nested)


def test_A5_the_digest_is_the_same_each_time():
    assert len({sized.compile().digest for _ in range(3)}) == 1


def plan_of_size(name="size", bound=10, first=big, second=7, message="neither", or_equal=False):
    @workflow
    def sized(n: int) -> int:
        choice = conditional(name)
        return (
            choice.if_((n >= bound) if or_equal else (n > bound))
            .then(first(n))
            .elif_(n == 5)
            .then(second)
            .else_()
            .fail(message)
        )

    return sized.compile()


@pytest.mark.parametrize(
    "change",
    [{"name": "other"}, {"bound": 11}, {"first": small}, {"second": 8}, {"message": "none"}, {"or_equal": True}],
    ids=lambda one: next(iter(one)),
)
def test_B1_what_a_branch_says_is_part_of_the_digest(change):
    assert plan_of_size().digest == plan_of_size().digest
    assert plan_of_size(**change).digest != plan_of_size().digest


def test_A5_another_process_under_another_hash_seed_gives_the_same_bytes(tmp_path):
    source = """
        import enum, hashlib
        from promissory import conditional, task, workflow

        class Color(enum.Enum):
            RED = "r"

        @task
        def big(n: int) -> int:
            return n

        @task
        def pick(n: int) -> Color:
            return Color.RED

        @workflow
        def wf(n: int, ok: bool, name: str) -> list[int | None]:
            chosen = (
                conditional("a").if_((n > 3) & ~ok | (name == "x")).then(big(n))
                .elif_(pick(n) == Color.RED).then(n)
                .else_().fail("no")
            )
            return [
                chosen,
                conditional("b").if_(ok.is_true()).then(conditional("c").if_(n < 0).then(big(1)).else_().then(2)),
            ]

        if __name__ == "__main__":
            print(hashlib.sha256(wf.compile().to_bytes()).hexdigest())
    """
    (tmp_path / "chosen.py").write_text(textwrap.dedent(source))
    said = set()
    imported = "import chosen, hashlib; print(hashlib.sha256(chosen.wf.compile().to_bytes()).hexdigest())"
    for seed, arguments in (("0", ["chosen.py"]), ("1", ["chosen.py"]), ("2", ["-c", imported])):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "-B", *arguments]
        ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        said.add(ended.stdout)
    assert len(said) == 1
    assert len(said.pop().strip()) == len(hashlib.sha256().hexdigest())


def test_A5_reading_a_branch_imports_nothing_of_its_author(tmp_path):
    sized.compile().save(str(tmp_path / "it.plan"))
    code = (
        "import sys; from promissory import Plan; print(Plan.load('it.plan').show().splitlines()[1]); "
        "print(__name__ in sys.modules)"
    )
    code = code.replace("__name__", repr(__name__))
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == [
        "  size : int = branch(n > 10: plan size.1(in0=n), n == 5: plan size.2(), else: fail 'neither')",
        "False",
    ]


# --- what belongs to an arm -------------------------------------------------------------------------------------------


def test_B1_calls_between_the_opening_and_then_belong_to_the_arm():
    def body(n: int) -> int:
        return conditional("c").if_(n > 3).then(small(big(n))).else_().then(n)

    plan = compiled(body)
    assert [len(graph) for graph in plan.shape.graphs] == [1, 0, 2]


def test_B1_what_was_made_before_belongs_outside():
    def body(n: int) -> int:
        made = big(n)
        return conditional("c").if_(n > 3).then(made).else_().then(small(n))

    assert compiled(body).show().splitlines()[1:3] == [
        "  big : int = task big(n=n)",
        "  c   : int = branch(n > 3: plan c.1(in0=big), else: plan c.else(in0=n))",
    ]


def test_B1_calls_inside_conditions_belong_outside_also_of_later_arms():
    def body(n: int) -> int:
        return conditional("c").if_(big(n) > 30).then(1).elif_(small(n) > 20).then(big(n)).else_().then(n)

    plan = compiled(body)
    assert plan.show().splitlines()[1:4] == [
        "  big   : int = task big(n=n)",
        "  small : int = task small(n=n)",
        "  c     : int = branch(big > 30: plan c.1(), small > 20: plan c.2(in0=n), else: plan c.else(in0=n))",
    ]


def test_B1_a_call_in_the_condition_of_an_inner_branch_belongs_to_the_outer_arm():
    def body(n: int) -> int:
        return (
            conditional("c").if_(n > 3).then(conditional("d").if_(big(n) > 50).then(1).else_().then(2)).else_().then(n)
        )

    plan = compiled(body)
    assert len(plan.graph) == 1
    assert "  big : int = task big(n=in0)" in plan.show().split("plan c.1(in0: int) -> int\n")[1]


def test_B1_a_value_that_arms_share_is_one_input_of_the_branch():
    def body(n: int) -> int:
        return conditional("c").if_(n > 3).then(big(n)).elif_(n > 2).then(small(n)).else_().then(n)

    inputs = branch_of(compiled(body)).inputs
    assert [parameter.type for parameter in inputs].count(INT) == 3  # n, and the two literals


def test_B1_an_arm_takes_a_field_of_a_value_outside():
    def body(n: int) -> int:
        made = row(n)
        return conditional("c").if_(made.count > 3).then(big(made.count)).else_().then(made.count)

    assert "branch(row.count > 3: plan c.1(in0=row.count), else: plan c.else(in0=row.count))" in compiled(body).show()


def test_B1_an_inner_arm_takes_a_value_through_all_arms_around_it():
    def inner(made):
        return conditional("inner").if_(made > 1).then(small(made)).else_().then(made)

    def body(n: int) -> int:
        made = big(n)
        return conditional("outer").if_(n > 3).then(inner(made)).else_().then(n)

    plan = compiled(body)
    assert "outer : int = branch(n > 3: plan outer.1(in0=big), else: plan outer.else(in0=n))" in plan.show()


def test_B1_arms_may_be_written_statement_by_statement():
    def body(n: int) -> int:
        chosen = conditional("c").if_(n > 3).then(big(n))
        between = small(n)
        return chosen.else_().then(between)

    plan = compiled(body)
    assert plan.show().splitlines()[1:3] == [
        "  small : int = task small(n=n)",
        "  c     : int = branch(n > 3: plan c.1(in0=n), else: plan c.else(in0=small))",
    ]


def test_B1_a_statement_over_many_lines_is_one_statement():
    def body(n: int) -> int:
        return conditional("c").if_(n > 3).then(small(big(n))).else_().then(n)

    assert len(compiled(body).shape.graphs) == 3


def test_B1_a_function_of_the_author_may_make_the_arm():
    def several(n):
        first = big(n)
        return small(first)

    def body(n: int) -> int:
        return conditional("c").if_(n > 3).then(several(n)).else_().then(n)

    assert [len(graph) for graph in compiled(body).shape.graphs] == [1, 0, 2]


def test_B1_twelve_arms_stay_in_their_order():
    def body(n: int) -> int:
        chosen = conditional("c").if_(n == 0).then(0)
        for number in range(1, 12):
            chosen = chosen.elif_(n == number).then(small(number))
        return chosen.else_().then(-1)

    plan = compiled(body)
    arms = branch_of(plan).arms
    assert len(arms) == 13
    assert [plan.shape.graphs[arm.graph].name for arm in arms] == [f"c.{number}" for number in range(1, 13)] + [
        "c.else"
    ]


def test_B1_a_branch_in_a_comprehension_has_a_name_of_its_own_each():
    def body(n: int) -> list[int]:
        return [conditional(f"c{i}").if_(n > i).then(big(n)).else_().then(i) for i in range(3)]

    assert [line.split()[0] for line in compiled(body).show().splitlines()[1:4]] == ["c0", "c1", "c2"]


def test_B1_sixty_arms_nested_in_each_other():
    def body(n: int) -> int:
        def nested(depth):
            if depth == 0:
                return big(n)
            return conditional(f"c{depth}").if_(n > depth).then(nested(depth - 1)).else_().then(depth)

        return nested(60)

    assert len(compiled(body).shape.graphs) == 121


@pytest.mark.parametrize(
    "made",
    [
        lambda n: tens(n),
        lambda n: grown(n),
        lambda n: 5,
        lambda n: n,
        lambda n: row(n).count,
        lambda n: conditional("inner").if_(n > 5).then(big(n)).else_().then(n),
    ],
    ids=["workflow", "dynamic", "literal", "input", "field", "branch"],
)
def test_B1_an_arm_gives(made):
    def body(n: int) -> int:
        return conditional("c").if_(n > 3).then(made(n)).else_().then(made(n))

    assert branch_of(compiled(body)).result == INT


def test_B1_an_arm_gives_a_map():
    def body(n: int) -> list[int]:
        return conditional("c").if_(n > 3).then(big.map(numbers(n))).else_().then([])

    assert "c : list[int] = branch" in compiled(body).show()


@pytest.mark.parametrize(
    ("literal", "wanted"),
    [(lambda n: [n, big(n)], list[int]), (lambda n: {"n": n}, dict[str, int]), (lambda n: Row(n, True), Row)],
    ids=["list", "dict", "dataclass"],
)
def test_P1_an_arm_gives_promises_in_a_literal_beside_a_promise(literal, wanted):
    other = {list[int]: numbers, dict[str, int]: table, Row: row}[wanted]

    def body(n: int):
        return conditional("c").if_(n > 3).then(other(n)).else_().then(literal(n))

    body.__annotations__["return"] = wanted
    compiled(body)


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        (lambda n: [n], lambda n: [big(n)], list[int]),
        (lambda n: [], lambda n: [n], list[int]),
        (lambda n: {"n": 1}, lambda n: {"n": n}, dict[str, int]),
        (lambda n: (1, 2), lambda n: (n, big(n)), tuple[int, int]),
    ],
    ids=["lists", "an empty list first", "dicts", "tuples"],
)
def test_P1_both_arms_give_literals_with_promises_in_them(first, second, wanted):
    def body(n: int):
        return conditional("c").if_(n > 3).then(first(n)).else_().then(second(n))

    body.__annotations__["return"] = wanted
    compiled(body)


def test_A8_a_workflow_made_by_hand_has_branches():
    with Workflow("by_hand") as wf:
        made = big(2)
        chosen = conditional("c").if_(made > 3).then(small(1)).else_().then(small(2))
        wf.add_workflow_output("out", chosen)
    assert "  c   : int = branch(big > 3: plan c.1(), else: plan c.else())" in wf.compile().show()


# --- what a branch gives ----------------------------------------------------------------------------------------------


def type_of_branch(first, second=None):
    """The type of a branch of one or two arms."""

    @workflow
    def body(n: int) -> Any:
        chosen = conditional("c").if_(n > 3).then(first(n))
        return chosen if second is None else chosen.else_().then(second(n))

    return str(branch_of(body.compile()).result)


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        (big, small, "int"),
        (big, half, "float"),
        (half, big, "float"),
        (big, lambda n: 2.5, "float"),
        (lambda n: 1, half, "float"),
        (half, lambda n: 1, "float"),
        (big, maybe, "int | None"),
        (maybe, big, "int | None"),
        (big, nothing, "int | None"),
        (nothing, big, "int | None"),
        (big, lambda n: None, "int | None"),
        (lambda n: None, big, "int | None"),
        (lambda n: None, lambda n: None, "None"),
        (nothing, nothing, "None"),
        (big, either, "int | str"),
        (either, text, "int | str"),
        (either, lambda n: "a", "int | str"),
        (big, anything, "int"),
        (numbers, lambda n: [], "list[int]"),
        (half, nothing, "float | None"),
        (row, lambda n: Row(1, False), "Row"),
        (lambda n: True, flag, "bool"),
        (lambda n: Color.RED, lambda n: Color.BLUE, "Color"),
        (big, None, "int | None"),
        (maybe, None, "int | None"),
        (nothing, None, "None"),
        (half, None, "float | None"),
    ],
)
def test_B1_arms_merge(first, second, wanted):
    assert type_of_branch(first, second) == wanted


def test_P3_a_list_literal_before_a_promise_takes_the_type_of_the_promise():
    assert type_of_branch(lambda n: [1, 2], numbers) == "list[int]"


def test_B1_three_arms_of_int_float_and_none_merge():
    @workflow
    def body(n: int) -> float | None:
        return conditional("c").if_(n > 3).then(big(n)).elif_(n > 2).then(half(n)).else_().then(None)

    assert str(branch_of(body.compile()).result) == "float | None"


def test_B1_an_arm_that_fails_has_no_say_in_the_type():
    @workflow
    def body(n: int) -> int:
        return conditional("c").if_(n > 3).fail("too big").elif_(n > 1).then(big(n)).else_().fail("too small")

    spec = branch_of(body.compile())
    assert spec.result == INT
    assert [arm.message for arm in spec.arms] == ["too big", "", "too small"]


def test_P3_arms_of_different_types_are_an_error_with_the_line(problem_of):
    @workflow
    def body(n: int) -> int:
        return conditional("c").if_(n > 3).then(big(n)).else_().then(text(n))  # here

    problem = problem_of(body)
    assert isinstance(problem, EdgeTypeError)
    assert problem.message == "the else of 'c' wants int, but text() gives str"
    assert "# here" in line_of(problem)


@pytest.mark.parametrize(
    ("first", "second"),
    [(big, text), (big, lambda n: "a"), (text, lambda n: 1), (numbers, big), (flag, big), (row, big)],
)
def test_P3_arms_that_do_not_go_together_are_refused(problem_of, first, second):
    @workflow
    def body(n: int) -> Any:
        return conditional("c").if_(n > 3).then(first(n)).else_().then(second(n))

    assert problem_of(body).message.startswith("the else of 'c'")


def test_P3_the_wrong_arm_of_many_is_named_by_its_number(problem_of):
    @workflow
    def body(n: int) -> int:
        return conditional("c").if_(n > 3).then(big(n)).elif_(n > 2).then(text(n)).else_().then(1)

    assert problem_of(body).message == "arm 2 of 'c' wants int, but text() gives str"


def test_B1_without_else_the_result_may_be_passed_where_none_is_allowed():
    def body(n: int) -> int | None:
        chosen = conditional("c").if_(n > 3).then(big(n))
        unsure(chosen)
        return chosen

    assert "c      : int | None" in compiled(body).show()


def test_B1_without_else_the_result_can_not_be_passed_where_none_is_not_allowed(problem_of):
    @workflow
    def body(n: int) -> int:
        return small(conditional("c").if_(n > 3).then(big(n)))

    problem = problem_of(body)
    assert isinstance(problem, EdgeTypeError)
    assert problem.message == "small(n=…) wants int, but c() gives int | None: it may be None"


def test_B1_without_else_the_result_can_not_be_returned_as_what_may_not_be_none(problem_of):
    @workflow
    def body(n: int) -> int:
        return conditional("c").if_(n > 3).then(big(n)).elif_(n < 0).then(0)

    assert problem_of(body).message.endswith("wants int, but c() gives int | None: it may be None")


def test_B1_without_else_an_unused_branch_is_fine():
    def body(n: int) -> int:
        conditional("c").if_(n > 3).then(big(n))
        return n

    assert "c : int | None" in compiled(body).show()


def test_B1_a_field_of_what_may_be_none_can_not_be_taken(problem_of):
    @workflow
    def body(n: int) -> int:
        return conditional("c").if_(n > 3).then(row(n)).count

    assert "may not be there" in problem_of(body).message


def test_B1_a_consumer_between_the_arms_gets_what_the_whole_branch_gives():
    def body(n: int) -> int:
        chosen = conditional("c").if_(n > 3).then(big(n))
        taken = unsure(chosen)
        chosen.else_().then(small(n))
        return taken

    assert "c      : int " in compiled(body).show()


def test_P3_a_later_arm_that_does_not_fit_an_earlier_consumer_is_a_compile_error(problem_of):
    @workflow
    def body(n: int) -> int:
        chosen = conditional("c").if_(n > 3).then(big(n))
        taken = unsure(chosen)
        chosen.else_().then(half(n))
        return taken

    assert isinstance(problem_of(body), EdgeTypeError)


# --- conditions -------------------------------------------------------------------------------------------------------


def condition_text(made):
    """How the plan says a condition."""

    @workflow
    def body(n: int, ok: bool, also: bool, x: int | None, name: str, row: Row) -> int:
        return conditional("c").if_(made(n, ok, also, x, name, row)).then(1).else_().then(2)

    plan = body.compile()
    assert Plan.from_bytes(plan.to_bytes()).show() == plan.show()
    return plan.show().splitlines()[1].partition("branch(")[2].partition(": plan")[0]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda n, *_: n == 3, "n == 3"),
        (lambda n, *_: n != 3, "n != 3"),
        (lambda n, *_: n < 3, "n < 3"),
        (lambda n, *_: n <= 3, "n <= 3"),
        (lambda n, *_: n > 3, "n > 3"),
        (lambda n, *_: n >= 3, "n >= 3"),
        (lambda n, *_: n > 2.5, "n > 2.5"),
        (lambda n, *_: 3 < n, "n > 3"),  # noqa: SIM300 - Python itself turns it round
        (lambda n, *_: n == n, "n == n"),
        (lambda n, ok, *_: ok.is_true(), "ok is true"),
        (lambda n, ok, *_: ok.is_false(), "ok is false"),
        (lambda n, ok, *_: ~ok, "ok is false"),
        (lambda n, ok, *_: ok == True, "ok == True"),  # noqa: E712
        (lambda n, ok, also, x, *_: x.is_none(), "x is none"),
        (lambda n, ok, also, x, *_: x == None, "x == None"),  # noqa: E711
        (lambda n, ok, also, x, *_: x > 3, "x > 3"),
        (lambda n, ok, also, x, *_: ~x.is_none() & (x > 3), "~(x is none) & (x > 3)"),
        (lambda n, ok, *_: (n > 3) & (n < 5) | ok.is_true(), "((n > 3) & (n < 5)) | (ok is true)"),
        (lambda n, ok, *_: ~((n > 3) | (n == 1)), "~((n > 3) | (n == 1))"),
        (lambda n, ok, *_: ok & (n > 3), "(ok is true) & (n > 3)"),
        (lambda n, ok, *_: ok | (n > 3), "(ok is true) | (n > 3)"),
        (lambda n, ok, also, x, name, *_: name == "a", "name == 'a'"),
        (
            lambda n, ok, also, x, name, row: (row.count == n) & row.done.is_true(),
            "(row.count == n) & (row.done is true)",
        ),
    ],
)
def test_P1_a_condition_may_be(made, said):
    assert condition_text(made) == said


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda n, ok, also, *_: ok & also, "(ok is true) & (also is true)"),
        (lambda n, ok, also, *_: ok | also, "(ok is true) | (also is true)"),
        (lambda n, ok, *_: (n > 3) & ok, "(n > 3) & (ok is true)"),
    ],
)
def test_P1_promises_of_bools_are_joined_in_any_order(made, said):
    assert condition_text(made) == said


def problem_of_condition(made):
    @workflow
    def body(n: int, ok: bool, name: str) -> int:
        return conditional("c").if_(made(n, ok, name)).then(1).else_().then(2)

    with pytest.raises((PromiseError, BranchError)) as caught:
        body.compile()
    problem = caught.value
    assert problem.where is not None
    assert problem.where.file == __file__
    assert problem.way_out
    return problem.message


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda n, *_: True, "a condition of 'c' is True, known before the run"),
        (lambda n, *_: 3, "a condition of 'c' is 3, known before the run"),
        (lambda n, *_: "n > 3", "a condition of 'c' is 'n > 3', known before the run"),
        (lambda n, *_: [n > 3], "a condition of 'c' is [(‹promise input n: int› > 3)], known before the run"),
        (lambda n, *_: {"n": 3}, "a condition of 'c' is {'n': 3}, known before the run"),
        (lambda n, *_: n, "a condition of 'c' is the promise of int, not a comparison"),
        (lambda n, ok, *_: ok, "a condition of 'c' is the promise of bool, not a comparison"),
        (lambda n, *_: numbers(n), "a condition of 'c' is the promise of list[int], not a comparison"),
        (
            lambda n, *_: numbers(n) == [1],
            "a condition of 'c': numbers() is list[int], which can't be compared in a condition",
        ),
        (
            lambda n, *_: table(n) == {},
            "a condition of 'c': table() is dict[str, int], which can't be compared in a condition",
        ),
        (
            lambda n, *_: row(n) == Row(1, True),
            "a condition of 'c': row() is Row, which can't be compared in a condition",
        ),
        (
            lambda n, *_: n.is_true(),
            "a condition of 'c': input n is int, and .is_true() and .is_false() are for a bool",
        ),
        (lambda n, *_: n == "a", "a condition of 'c': (‹promise input n: int› == 'a') compares int with str"),
        (lambda n, ok, *_: ok == 1, "a condition of 'c': (‹promise input ok: bool› == 1) compares bool with int"),
        (
            lambda n, ok, name: n == name,
            "a condition of 'c': (‹promise input n: int› == ‹promise input name: str›) compares int with str",
        ),
        (
            lambda n, *_: n == Decimal("1"),
            "a condition of 'c': (‹promise input n: int› == Decimal('1')) compares int with Decimal",
        ),
        (lambda n, *_: not (n > 3), "the condition (‹promise input n: int› > 3) has no truth value before the run"),
        (
            lambda n, *_: (n > 3) and (n < 5),
            "the condition (‹promise input n: int› > 3) has no truth value before the run",
        ),
        (lambda n, *_: 3 < n < 5, "the condition (‹promise input n: int› > 3) has no truth value before the run"),
        (lambda n, *_: (n > 3) & True, "& and | join conditions, not bool"),
        (lambda n, *_: 3 in numbers(n), "`in numbers()` was asked for, but the value is not there before the run"),
    ],
)
def test_B1_a_wrong_condition_says_what_it_is(made, said):
    assert problem_of_condition(made) == said


def test_B1_a_promise_of_a_bool_as_a_condition_says_what_to_write(problem_of):
    @workflow
    def body(n: int) -> int:
        return conditional("c").if_(flag(n)).then(1).else_().then(2)

    assert problem_of(body).way_out == "write flag().is_true()"


def test_B1_none_as_a_condition_is_called_none():
    assert problem_of_condition(lambda n, *_: None) == "a condition of 'c' is None, known before the run"


def test_B1_members_of_an_enum_have_no_order(problem_of):
    @workflow
    def body(x: Color) -> int:
        return conditional("c").if_(x > Color.BLUE).then(1).else_().then(2)

    assert isinstance(problem_of(body), BranchError)


def test_D9_a_condition_of_two_thousand_comparisons_compiles_or_names_a_limit():
    @workflow
    def body(n: int) -> int:
        said = n == 0
        for number in range(1, 2000):
            said = said | (n == number)
        return conditional("c").if_(said).then(1).else_().then(2)

    try:
        body.compile()
    except (BranchError, PromiseError) as error:
        assert error.where is not None


# --- arms that are not finished, or too much --------------------------------------------------------------------------


def line_of(problem):
    """The author's line that a problem names."""
    with open(problem.where.file, encoding="utf-8") as file:
        return file.read().splitlines()[problem.where.line - 1]


def test_B1_an_arm_that_is_open_at_the_next_call_is_an_error_with_its_line(problem_of):
    @workflow
    def body(n: int) -> int:
        opened = conditional("c").if_(n > 3)  # opened
        made = big(n)
        return opened.then(made).else_().then(1)

    problem = problem_of(body)
    assert isinstance(problem, BranchError)
    assert problem.message == "an arm of 'c' is opened and not closed by .then(…)"
    assert "# opened" in line_of(problem)


@pytest.mark.parametrize("opening", ["elif_", "else_"])
def test_B1_a_later_arm_that_is_left_open_is_an_error(problem_of, opening):
    @workflow
    def body(n: int) -> int:
        chosen = conditional("c").if_(n > 3).then(1)
        if opening == "elif_":
            chosen.elif_(n > 2)
        else:
            chosen.else_()
        return n

    problem = problem_of(body)
    assert problem.message == "an arm of 'c' is opened and not closed by .then(…)"


def test_B1_a_first_arm_that_is_left_open_at_the_end_is_an_error(problem_of):
    @workflow
    def body(n: int) -> int:
        conditional("c").if_(n > 3)
        return n

    assert problem_of(body).message == "an arm of 'c' is opened and not closed by .then(…)"


def test_A8_an_arm_that_is_left_open_at_the_end_of_a_block_is_an_error():
    def made():
        with Workflow("by_hand") as wf:
            conditional("c").if_(big(2) > 3)
        return wf.compile()

    with pytest.raises(BranchError, match="opened and not closed"):
        made()


def test_B1_an_arm_without_then_that_is_returned_is_said_to_be_open(problem_of):
    @workflow
    def body(n: int) -> int:
        return conditional("c").if_(n > 3)

    assert problem_of(body).message == "an arm of 'c' is opened and not closed by .then(…)"


def test_B1_an_arm_without_then_that_is_passed_on_is_said_to_be_open(problem_of):
    @workflow
    def body(n: int) -> int:
        return small(conditional("c").if_(n > 3))

    assert problem_of(body).message == "an arm of 'c' is opened and not closed by .then(…)"


def test_A7_an_exception_in_an_arm_that_the_body_swallowed_leaves_an_open_arm_which_is_an_error(problem_of):
    @workflow
    def body(n: int) -> int:
        try:
            conditional("c").if_(n > 3).then(1 // 0)
        except ZeroDivisionError:
            pass
        return small(n)

    assert problem_of(body).message == "an arm of 'c' is opened and not closed by .then(…)"


@pytest.mark.parametrize("again", ["else_", "elif_"])
def test_B1_an_arm_behind_else_is_an_error(problem_of, again):
    @workflow
    def body(n: int) -> int:
        chosen = conditional("c").if_(n > 3).then(1)
        chosen.else_().then(2)
        return chosen.else_().then(3) if again == "else_" else chosen.elif_(n > 2).then(3)

    problem = problem_of(body)
    assert isinstance(problem, BranchError)
    assert problem.message == "'c' has an arm behind .else_(), which would never be chosen"
    assert problem.way_out == "put .else_() last"


@pytest.mark.parametrize("again", ["else_", "elif_"])
def test_B1_an_arm_behind_else_in_one_chain_says_so_too(problem_of, again):
    @workflow
    def body(n: int) -> int:
        last = conditional("c").if_(n > 3).then(1).else_().then(2)
        return last.else_().then(3) if again == "else_" else last.elif_(n > 2).then(3)

    assert problem_of(body).message == "'c' has an arm behind .else_(), which would never be chosen"


@pytest.mark.parametrize(("first", "second"), [("then", "then"), ("then", "fail"), ("fail", "then"), ("fail", "fail")])
def test_B1_an_arm_that_is_closed_twice_is_an_error(problem_of, first, second):
    @workflow
    def body(n: int) -> int:
        opened = conditional("c").if_(n > 3)
        getattr(opened, first)("1")
        getattr(opened, second)("2")
        return n

    problem = problem_of(body)
    assert isinstance(problem, BranchError)
    assert problem.message == "an arm of 'c' is closed twice"


def test_B1_an_outer_arm_can_not_be_closed_while_an_inner_one_is_open(problem_of):
    @workflow
    def body(n: int) -> int:
        return close_both(conditional("outer").if_(n > 3), conditional("inner").if_(n > 3))

    def close_both(outer, inner):
        outer.then(1)
        return inner.then(2)

    assert problem_of(body).message == "an arm of 'outer' is closed while another is open"


def test_A7_a_wrong_use_that_the_body_swallowed_fails_the_compile(problem_of):
    @workflow
    def body(n: int) -> int:
        try:
            conditional("c").if_(True)
        except BranchError:
            pass
        return n

    assert problem_of(body).message == "a condition of 'c' is True, known before the run"


def test_A7_after_a_failed_compile_nothing_is_being_traced(problem_of):
    @workflow
    def body(n: int) -> int:
        return conditional("c").if_(n > 3).then(big(n, 2)).else_().then(n)

    assert isinstance(problem_of(body), WrongCall)
    assert current.get() is None
    assert big(2) == 20
    assert sized(50) == 500


def test_B1_outside_a_workflow_there_is_nothing_to_choose():
    with pytest.raises(PromiseError, match=r"conditional\(\) is for workflows, and none is being traced") as caught:
        conditional("c")
    assert caught.value.way_out == "use `if`: the values are there"
    assert caught.value.where.file == __file__


def test_B1_inside_a_tasks_body_there_is_nothing_to_choose():
    @task
    def body(n: int) -> int:
        return conditional("c").if_(n > 3).then(1).else_().then(2)

    with pytest.raises(PromiseError, match=r"use `if`: the values are there"):
        body(3)


# --- names, overrides, order ------------------------------------------------------------------------------------------


def test_B1_two_branches_of_one_name_are_an_error(problem_of):
    @workflow
    def body(n: int) -> list[int]:
        return [
            conditional("c").if_(n > 3).then(1).else_().then(2),
            conditional("c").if_(n > 4).then(1).else_().then(2),
        ]

    problem = problem_of(body)
    assert isinstance(problem, DuplicateName)
    assert problem.message == "two nodes of body are named 'c'"


@pytest.mark.parametrize("name", ["", "a/b", "a~2", 5])
def test_B1_a_name_that_can_not_be_one_is_an_error(problem_of, name):
    @workflow
    def body(n: int) -> int:
        return conditional(name).if_(n > 3).then(1).else_().then(2)

    assert isinstance(problem_of(body), DuplicateName)


def test_B1_branches_in_different_arms_may_have_one_name():
    def body(n: int) -> int:
        return conditional("c").if_(n > 3).then(conditional("c").if_(n > 4).then(1).else_().then(2)).else_().then(3)

    compiled(body)


def test_B1_nodes_of_arms_may_be_named_and_have_settings():
    def body(n: int) -> int:
        return (
            conditional("c")
            .if_(n > 3)
            .then(big(n).with_overrides(name="x", retries=2))
            .else_()
            .then(small(n).with_overrides(name="x"))
        )

    assert compiled(body).show().count("  x : int") == 2


def test_B1_a_branch_has_no_retries_of_its_own(problem_of):
    @workflow
    def body(n: int) -> int:
        return conditional("c").if_(n > 3).then(big(n)).else_().then(n).with_overrides(retries=2)

    assert isinstance(problem_of(body), OverrideError)


def test_X4_a_branch_is_ordered_as_a_call_is():
    def body(n: int) -> int:
        before = small(n)
        chosen = conditional("c").if_(n > 3).then(big(n)).else_().then(2)
        before >> chosen >> tens(n)
        return chosen

    shown = compiled(body).show()
    assert "branch(n > 3: plan c.1(in0=n), else: plan c.else()) after small" in shown
    assert "plan tens(n=n) after c" in shown


def test_X4_calls_are_ordered_inside_an_arm():
    def body(n: int) -> int:
        return conditional("c").if_(n > 3).then(small(n) >> big(n)).else_().then(2)

    assert "big   : int = task big(n=in0) after small" in compiled(body).show()


def test_X4_a_condition_that_needs_its_own_branch_is_a_circle(problem_of):
    @workflow
    def body(n: int) -> int | None:
        chosen = conditional("c").if_(n > 3).then(big(n))
        return chosen.elif_(chosen == 3).then(2)

    assert isinstance(problem_of(body), OrderCycle)


def test_X4_an_arm_that_needs_its_own_branch_is_a_circle(problem_of):
    @workflow
    def body(n: int) -> int | None:
        chosen = conditional("c").if_(n > 3).then(big(n))
        after = unsure(chosen)
        return chosen.else_().then(after)

    assert isinstance(problem_of(body), OrderCycle)


# --- leaks ------------------------------------------------------------------------------------------------------------


def leaking(use):
    """A workflow that keeps the promise of an arm's call and uses it elsewhere."""

    @workflow
    def body(n: int) -> int:
        kept = []

        def keep(made):
            kept.append(made)
            return made

        return use(n, kept, keep)

    return body


def used_outside(n, kept, keep):
    conditional("c").if_(n > 3).then(keep(big(n))).else_().then(n)
    return small(kept[0])  # here


def used_in_another_arm(n, kept, keep):
    return conditional("c").if_(n > 3).then(keep(big(n))).else_().then(small(kept[0]))  # here


def returned(n, kept, keep):
    conditional("c").if_(n > 3).then(keep(big(n))).else_().then(n)
    return kept[0]


def given_by_another_branch(n, kept, keep):
    conditional("c").if_(n > 3).then(keep(big(n))).else_().then(n)
    return conditional("d").if_(n > 3).then(kept[0]).else_().then(n)


def used_in_a_condition(n, kept, keep):
    return conditional("c").if_(n > 3).then(keep(big(n))).elif_(kept[0] > 3).then(1).else_().then(2)  # here


@pytest.mark.parametrize(
    "use", [used_outside, used_in_another_arm, returned, given_by_another_branch, used_in_a_condition]
)
def test_A6_what_an_arm_made_can_not_be_used_outside_of_it(problem_of, use):
    problem = problem_of(leaking(use))
    assert isinstance(problem, LeakedPromise)
    assert "big(), made at " in problem.message
    assert "while c.1 was traced" in problem.message


@pytest.mark.parametrize(
    "use",
    [
        used_outside,
        used_in_another_arm,
        used_in_a_condition,
    ],
)
def test_A7_a_leak_of_an_arm_names_the_line_of_the_use(problem_of, use):
    assert "# here" in line_of(problem_of(leaking(use)))


def test_A6_a_workflow_that_calls_itself_in_an_arm_is_told_to_be_dynamic(problem_of):
    @workflow
    def body(n: int) -> int:
        return conditional("c").if_(n > 0).then(body(n)).else_().then(n)

    problem = problem_of(body)
    assert isinstance(problem, StaticRecursion)
    assert "@dynamic" in problem.way_out


# --- fail arms --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [lambda n: text(n), lambda n: str(n), lambda n: repr(n), lambda n: "no " + str(n)],
    ids=["promise", "str", "repr", "sum"],
)
def test_P2_the_message_of_a_failing_arm_can_not_be_made_of_a_promise(problem_of, said):
    @workflow
    def body(n: int) -> int:
        return conditional("c").if_(n > 3).then(n).else_().fail(said(n))

    assert problem_of(body).where is not None


def test_P2_an_f_string_of_a_promise_as_a_message_raises(problem_of):
    @workflow
    def body(n: int) -> int:
        return conditional("c").if_(n > 3).then(n).else_().fail(f"{n} is too small")

    assert isinstance(problem_of(body), PromiseError)


# --- what is no value -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [lambda n: big, lambda n: lambda: big(n), lambda n: tens, lambda n: grown],
    ids=["task", "lambda", "workflow", "dynamic"],
)
def test_B1_a_function_where_its_call_is_wanted_says_so(problem_of, value):
    @workflow
    def body(n: int) -> int:
        return conditional("c").if_(n > 3).then(value(n)).else_().then(2)

    problem = problem_of(body)
    assert "call" in str(problem)
    assert "Opaque" not in str(problem)


# --- several problems -------------------------------------------------------------------------------------------------


def test_A7_all_problems_of_branches_are_reported_together(problem_of):
    problem = problem_of(wrong_in_four_ways)
    assert isinstance(problem, CompileErrors)
    assert sorted(one.message for one in problem.problems) == [
        "a condition of 'a': (‹promise input n: int› == 'x') compares int with str",
        "a condition of 'c': input n is int, and .is_true() and .is_false() are for a bool",
        "small(n=…) wants int, but b() gives int | None: it may be None",
        "the else of 'a' wants int, but text() gives str",
    ]
    assert all(one.where.file == __file__ for one in problem.problems)


@workflow
def wrong_in_four_ways(n: int) -> int:
    conditional("a").if_(n == "x").then(big(n)).else_().then(text(n))
    b = conditional("b").if_(n > 3).then(big(n))
    conditional("c").if_(n.is_true()).then(1).else_().then(2)
    return small(b)


# --- plans that somebody changed --------------------------------------------------------------------------------------


def tampered(change):
    """A plan with another spec of its branch."""
    plan = sized.compile()
    graph = plan.graph
    spec = change(branch_of(plan))
    graphs = (replace(graph, specs={0: spec}), *plan.shape.graphs[1:])
    return replace(plan, shape=replace(plan.shape, graphs=graphs))


def with_arm(number, **changes):
    def change(spec):
        arms = list(spec.arms)
        arms[number] = replace(arms[number], **changes)
        return replace(spec, arms=tuple(arms))

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda spec: replace(spec, arms=()), "a branch has no arms"),
        (with_arm(0, condition=None), "an arm without condition is not the last"),
        (with_arm(0, condition=0), "no operand of a condition"),
        (with_arm(0, condition=["==", 0]), "no operator of 1 operands"),
        (with_arm(0, condition=["exec", 0]), "no operator"),
        (with_arm(0, condition=["==", 0, 99]), "no operand of a condition"),
        (with_arm(0, condition=["==", 0, -1]), "no operand of a condition"),
        (with_arm(0, condition=["&", 0, 1]), "no operand of a condition"),
        (with_arm(0, condition=["==", ["==", 0, 1], 1]), "no condition"),
        (with_arm(0, condition=[]), "no condition"),
        (with_arm(0, condition="n > 3"), "no condition"),
        (with_arm(0, graph=0), "does not exist"),
        (with_arm(0, graph=99), "does not exist"),
        (with_arm(0, takes=()), "takes 1 inputs, 0 are given"),
        (with_arm(0, takes=(99,)), "out of range"),
        (with_arm(0, takes=(-1,)), "is given"),
        (with_arm(2, takes=(0,)), "an arm that fails takes nothing"),
        (lambda spec: replace(spec, arms=spec.arms[:2]), "without a last resort it may give None"),
        (
            lambda spec: replace(spec, arms=(*spec.arms, Arm(["==", 0, 1], None))),
            "an arm without condition is not the last",
        ),
        (lambda spec: replace(spec, inputs=()), "no operand of a condition"),
    ],
)
def test_B1_a_tampered_branch_is_refused(change, said):
    with pytest.raises(PlanError, match=said):
        verify(tampered(change))


@pytest.mark.parametrize("cut", [1, 10, 30])
def test_T1_a_plan_that_is_cut_short_is_refused(cut):
    with pytest.raises(Exception, match=r".") as caught:
        Plan.from_bytes(sized.compile().to_bytes()[:-cut])
    assert type(caught.value).__name__ == "PlanFormatError"


def test_D5_an_arm_costs_the_same_however_long_its_file_is(write_module):
    source = """
        from promissory import conditional, workflow

        @workflow
        def chosen(n: int) -> int:
            return conditional("a").if_(n > 3).then(1).else_().then(2)
    """
    short = write_module("chosen_short", source)
    long = write_module("chosen_long", textwrap.dedent(source) + "x = [1, (2, 3), {4: 5}]\n" * 3000)

    def cost(module):
        took = []
        for _ in range(4):
            begun = time.perf_counter()
            module.chosen.compile()
            took.append(time.perf_counter() - begun)
        return min(took)

    assert cost(long) < 10 * cost(short)


def test_B1_what_only_one_arm_uses_and_was_made_before_is_told_as_advice():
    @workflow
    def wf(n: int) -> float:
        made, shared = half(n), half(n)
        first = conditional("first").if_(n > 3).then(made).else_().then(shared)
        return conditional("second").if_(n > 3).then(first).else_().then(shared)

    assert [one.message.partition(" runs")[0] for one in advice(wf.compile())] == ["half", "first"]
