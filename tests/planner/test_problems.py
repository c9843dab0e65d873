"""A6, A7: what is wrong is told together, with the author's lines; what leaked or was swallowed is not lost."""

import pytest

from promissory import task, workflow
from promissory.errors import (
    ArgumentValueError,
    CompileError,
    CompileErrors,
    DuplicateName,
    EdgeTypeError,
    OrderCycle,
    WrongCall,
)


@task
def inc(x: int) -> int:
    return x + 1


@task
def shout(text: str) -> str:
    return text.upper()


@task
def log() -> None:
    pass


def line_in(flow, offset: int) -> tuple[str, int]:
    return __file__, flow.function.__code__.co_firstlineno + offset


def test_A7_several_problems_are_reported_together_in_the_order_of_the_source(problem_of):
    @workflow
    def flow(x: int) -> str:
        a = inc("one")
        b = shout(inc(a))
        a >> log()
        inc(object())
        return inc(b)

    errors = problem_of(flow)
    assert isinstance(errors, CompileErrors)
    assert [(type(one), one.message) for one in errors.problems] == [
        (EdgeTypeError, "inc(x=…): expected int, got str"),
        (EdgeTypeError, "shout(text=…) wants str, but inc() gives int"),
        (EdgeTypeError, "inc(x=…): expected int, got object"),
        (EdgeTypeError, "inc(x=…) wants int, but shout() gives str"),
        (EdgeTypeError, "the result of flow() wants str, but inc() gives int"),
    ]
    assert [(one.where.file, one.where.line) for one in errors.problems[:4]] == [
        line_in(flow, offset) for offset in (2, 3, 5, 6)
    ]


def test_A7_the_text_numbers_the_problems_and_names_the_lines(problem_of):
    @workflow
    def flow(x: int) -> int:
        inc("one")
        return inc("two")

    file, line = line_in(flow, 2)
    lines = [one for one in str(problem_of(flow)).splitlines() if not one.startswith("  way out: ")]
    assert lines == [
        "2 problems:",
        "1. inc(x=…): expected int, got str",
        f"  at {file}:{line}",
        "2. inc(x=…): expected int, got str",
        f"  at {file}:{line + 1}",
    ]


def test_A7_every_problem_comes_with_a_way_out(problem_of):
    @workflow
    def flow(x: int) -> str:
        inc("one")
        inc(shout("a"))
        return inc(x)

    assert [one.message for one in problem_of(flow).problems if not one.way_out] == []


def test_A7_a_single_problem_is_raised_as_itself(problem_of):
    @workflow
    def flow(x: int) -> int:
        return inc("one")

    error = problem_of(flow)
    assert type(error) is EdgeTypeError
    assert error.problems == (error,)


def test_A7_a_wrong_result_names_a_line_of_the_function(problem_of):
    @workflow
    def flow(x: int) -> str:
        return inc(x)

    error = problem_of(flow)
    assert error.where.file == __file__
    assert 0 <= error.where.line - flow.function.__code__.co_firstlineno <= 2


kept = []


@workflow
def keeper(x: int) -> int:
    kept[:] = [x, inc(x)]
    return kept[1]


def swallow_misuse(p):
    if p:
        pass


def swallow_wrong_call(p):
    inc(p, p)


def swallow_leak(p):
    inc(kept[1])


def swallow_condition(p):
    if (p == 1) & (p == 2):
        pass


def swallow_joined(p):
    (p == 1) & 3


def swallow_order(p):
    p >> 3


def swallow_pickle_in_Any(p):
    import pickle

    pickle.dumps([p])


@pytest.mark.parametrize(
    "misdeed",
    [
        swallow_misuse,
        swallow_wrong_call,
        swallow_leak,
        swallow_condition,
        swallow_joined,
        swallow_order,
        swallow_pickle_in_Any,
    ],
)
def test_A7_an_error_that_the_body_swallowed_fails_the_compile(misdeed):
    keeper.compile()

    @workflow
    def flow(x: int) -> int:
        p = inc(x)
        try:
            misdeed(p)
        except Exception:
            pass
        return p

    with pytest.raises(CompileError):
        flow.compile()


def test_A7_the_error_that_came_first_is_the_one_that_is_raised():
    @workflow
    def flow(x: int) -> int:
        try:
            inc()
        except TypeError:
            pass
        return len(inc(x))

    with pytest.raises(WrongCall, match="missing 1 required positional argument: 'x'"):
        flow.compile()


@pytest.mark.parametrize(
    ("order", "chain"),
    [(lambda a, b, c: (a >> b >> c, c >> a), ["inc", "inc", "inc", "inc"]), (lambda a, b, c: a >> a, ["inc", "inc"])],
)
def test_A7_order_edges_in_a_circle_are_reported(problem_of, order, chain):
    @workflow
    def flow() -> None:
        order(inc(1), inc(2), inc(3))

    error = problem_of(flow)
    assert isinstance(error, OrderCycle)
    assert error.message == f"order edges lead in a circle: {' → '.join(chain)}"
    assert error.way_out == "drop one of the >> between them"


def test_A7_two_nodes_of_one_name_are_reported_with_the_second_line(problem_of):
    @workflow
    def flow() -> int:
        inc(1).with_overrides(name="same")
        return inc(2).with_overrides(name="same")

    error = problem_of(flow)
    assert isinstance(error, DuplicateName)
    assert error.message == "two nodes of flow are named 'same'"
    assert (error.where.file, error.where.line) == line_in(flow, 3)


def test_A7_a_condition_passed_as_an_argument_is_reported(problem_of):
    @workflow
    def flow(x: int) -> int:
        return inc(inc(x) > 3)

    error = problem_of(flow)
    assert isinstance(error, ArgumentValueError)
    assert error.message == "the condition (‹promise inc(): int› > 3) is not a value that a task can take"
    assert (error.where.file, error.where.line) == line_in(flow, 2)
