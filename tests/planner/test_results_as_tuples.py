"""A10: results as tuples: annotations that forget the `tuple`, and plain tuples where a NamedTuple is declared."""

from typing import Generic, NamedTuple, TypeVar

import pytest

from promissory import dynamic, run, task, workflow
from promissory.errors import CompileError, DecorationError, RunFailed

T = TypeVar("T")


class Pair(NamedTuple):
    a: int
    b: str


class Of(NamedTuple, Generic[T]):
    held: T
    n: int = 0


def written(annotation, where="return"):
    def f(x: int):
        return x

    f.__annotations__[where] = annotation
    return f


@pytest.mark.parametrize("decorator", [task, dynamic, workflow])
@pytest.mark.parametrize(
    ("annotation", "meant"),
    [
        ((int, str), "tuple[int, str]"),
        ((int, None), "tuple[int, None]"),
        ((int, (str, float)), "tuple[int, tuple[str, float]]"),
        ((int, list[str]), "tuple[int, list[str]]"),
        ((Pair,), "tuple[Pair]"),
        ((), "tuple[()]"),
        ([int], "list[int]"),
        ({str}, "set[str]"),
        ({str: int}, "dict[str, int]"),
        ("(int, str)", "tuple[int, str]"),
        ("(int, Pair)", "tuple[int, Pair]"),
    ],
    ids=str,
)
def test_A10_a_container_of_types_names_the_type_that_is_meant(decorator, annotation, meant):
    with pytest.raises(DecorationError) as caught:
        decorator(written(annotation)).signature
    assert "the result of f is annotated with a" in str(caught.value)
    assert f"way out: write {meant}" in str(caught.value)


def test_A10_a_parameter_names_the_type_that_is_meant():
    with pytest.raises(DecorationError) as caught:
        task(written((int, str), "x")).signature
    assert "f(x) is annotated with a tuple" in str(caught.value)


@task
def give(n: int) -> Pair:
    return n, "t"


@task
async def give_soon(n: int) -> Pair:
    return n, "t"


@task
def give_perhaps(n: int) -> Pair | None:
    return (n, "t") if n else None


@task
def give_generic(n: int) -> Of[int]:
    return n, 1


@dynamic
def grow(n: int) -> Pair:
    return n, "d"


@dynamic
def grow_more(n: int) -> Pair:
    made = give(n)
    return made.a, "d"


@workflow
def whole(n: int) -> Pair:
    made = give(n)
    return made.a, "w"


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_A10_a_plain_tuple_is_taken_where_a_named_tuple_is_declared(engine):
    @workflow
    def all_of_them(n: int) -> tuple[Pair, Pair, Pair | None, Of[int], Pair, Pair, Pair]:
        return give(n), give_soon(n), give_perhaps(n), give_generic(n), grow(n), grow_more(n), whole(n)

    found = run(all_of_them, {"n": 1}, engine=engine, store="memory://", echo=False).result
    assert found == ((1, "t"), (1, "t"), (1, "t"), (1, 1), (1, "d"), (1, "d"), (1, "w"))
    assert [type(one) for one in found] == [Pair, Pair, Pair, Of, Pair, Pair, Pair]


def test_A10_fields_of_such_a_result_can_be_passed_on():
    @task
    def said(a: int, b: str) -> str:
        return f"{a} {b}"

    @workflow
    def wf(n: int) -> str:
        a, b = give(n)
        return said(a, b)

    assert wf(3) == "3 t"


def test_A10_a_tuple_of_another_shape_is_refused():
    @task
    def short(n: int) -> Pair:
        return (n,)

    @task
    def other(n: int) -> Pair:
        return n, n

    for wrong, reason in ((short, "expected Pair, got tuple"), (other, "result.b: expected str, got int")):
        with pytest.raises(RunFailed, match=reason):
            run(wrong, {"n": 1}, store="memory://", echo=False).result

    @workflow
    def wf(n: int) -> Pair:
        return give(n).a, give(n).a

    with pytest.raises(CompileError, match="wants str, but give"):
        wf.compile()
