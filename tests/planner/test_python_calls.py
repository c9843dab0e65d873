"""A1: what is passed to a task arrives as Python passes it, and a wrong call is refused in Python's own words."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promissory import task, workflow
from promissory.errors import WrongCall

NAMES = ["alpha", "bravo", "charlie", "delta"]


@st.composite
def signatures(draw):
    """The source of a parameter list, such as `alpha: int, /, bravo: int = 1, *, charlie: int`."""
    kinds = sorted(draw(st.lists(st.sampled_from([0, 1, 2]), max_size=4)))
    first_default = draw(st.integers(0, 4))
    parameters = []
    for index, kind in enumerate(kinds):
        has_default = draw(st.booleans()) if kind == 2 else index >= first_default
        parameters.append(f"{NAMES[index]}: int" + (f" = {100 + index}" if has_default else ""))
    if 2 in kinds:
        parameters.insert(kinds.index(2), "*")
    if 0 in kinds:
        parameters.insert(kinds.count(0), "/")
    return ", ".join(parameters)


calls = st.tuples(
    st.lists(st.integers(0, 9), max_size=5),
    st.dictionaries(st.sampled_from([*NAMES, "zzzzzz", "qqqqqq"]), st.integers(10, 19), max_size=3),
)


def build(parameters):
    scope = {"__name__": __name__}
    exec(f"def called({parameters}) -> object:\n    return list(locals().values())", scope)
    return scope["called"]


def outcome(function, args, kwargs):
    try:
        return "gives", function(*args, **kwargs)
    except WrongCall as error:
        return "refuses", error.message
    except TypeError as error:
        return "refuses", str(error)


@given(signatures(), calls)
def test_A1_a_task_takes_and_refuses_what_its_function_does_in_the_same_words(parameters, call):
    args, kwargs = call
    function = build(parameters)
    assert outcome(task(function), args, kwargs) == outcome(function, args, kwargs)


@given(signatures(), calls)
def test_A1_in_a_trace_a_wrong_call_is_refused_in_the_same_words(parameters, call):
    args, kwargs = call
    function = build(parameters)
    called = task(function)

    @workflow
    def calling() -> object:
        return called(*args, **kwargs)

    kind, said = outcome(function, args, kwargs)
    if kind == "gives":
        assert len(calling.compile()) == 1
    else:
        with pytest.raises(WrongCall) as caught:
            calling.compile()
        assert caught.value.message == said


def nearly(name: int, other: int = 0) -> int:
    return name


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1, 2, 3), {}), ((), {"nmae": 1}), ((1,), {"nmae": 1}), ((1,), {"name": 2}), ((1, 2, 3), {"nope": 1})],
)
def test_A1_python_may_suggest_the_name_that_was_meant_and_so_do_we(args, kwargs):
    assert outcome(task(nearly), args, kwargs) == outcome(nearly, args, kwargs)


def test_A1_a_function_in_a_function_is_called_by_its_qualified_name_as_python_does():
    def inner(x: int) -> int:
        return x

    assert outcome(task(inner), (), {}) == outcome(inner, (), {})


def positional_only(a: int, b: int, /) -> int:
    return a - b


def keyword_only(*, a: int, b: int = 1) -> int:
    return a - b


def test_A1_positional_only_and_keyword_only_parameters_reach_the_body():
    assert task(positional_only)(5, 2) == 3
    assert task(keyword_only)(a=5) == 4


def test_A1_all_positional_only_parameters_passed_by_name_are_listed():
    assert outcome(task(positional_only), (), {"a": 1, "b": 2}) == outcome(positional_only, (), {"a": 1, "b": 2})


def test_A1_a_wrong_call_is_a_TypeError_and_names_the_line():
    with pytest.raises(TypeError) as caught:
        task(positional_only)(1)
    line = inspect.currentframe().f_lineno - 1
    assert (caught.value.where.file, caught.value.where.line) == (__file__, line)


def test_A1_a_wrong_call_in_a_workflow_names_the_line_of_the_call(problem_of):
    subtract = task(positional_only)

    @workflow
    def calling() -> int:
        return subtract(1)

    error = problem_of(calling)
    assert isinstance(error, WrongCall)
    assert (error.where.file, error.where.line) == (__file__, calling.function.__code__.co_firstlineno + 2)
