"""D7: an input that a dynamic passes on is not written again."""

from dataclasses import dataclass
from typing import Any

import pytest

from promissory import dynamic, expand, task
from promissory.planner.plan.model import INPUT
from promissory.typesys import codec_of

LONG = list(range(100))
TEXT = "long enough to be passed on by reference, which begins above 32 bytes"


@dataclass
class Table:
    rows: list[int]


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def count(xs: list[int]) -> int:
    return len(xs)


@task
def count_if(xs: list[int] | None) -> int:
    return len(xs or [])


@task
def measure(xs: list[float]) -> float:
    return sum(xs)


@task
def anything(x: Any) -> int:
    return 1


@task
def size(text: str) -> int:
    return len(text)


@task
def rows(table: Table) -> int:
    return len(table.rows)


def expanded(body, *values):
    """The plan of a body that is given values, each encoded as its annotation says."""
    made = dynamic(body)
    codecs = made.signature.codecs
    return expand(made, list(values), [codec.encode(value) for codec, value in zip(codecs, values, strict=True)])


def first_binding(plan):
    return plan.graph.bindings_of(0)[0]


def test_D7_an_immutable_input_is_passed_on_by_reference():
    def body(text: str) -> int:
        return size(text)

    plan = expanded(body, TEXT)
    assert (first_binding(plan), plan.literals) == ([INPUT, 0], ())


@pytest.mark.parametrize("value", [LONG, Table(LONG)], ids=["list", "dataclass"])
def test_D7_a_mutable_input_that_did_not_change_is_passed_on_by_reference(value):
    consumer = rows if isinstance(value, Table) else count

    def body(x: type(value) if isinstance(value, Table) else list[int]) -> int:
        return consumer(x)

    plan = expanded(body, value)
    assert (first_binding(plan), plan.literals) == ([INPUT, 0], ())


def test_D7_a_mutable_input_that_changed_is_encoded_as_it_is_at_the_call():
    def body(xs: list[int]) -> int:
        count(xs)
        xs.append(7)
        count(xs)
        xs.pop()
        return count(xs)

    plan = expanded(body, list(LONG))
    bindings = [plan.graph.bindings_of(node)[0] for node in range(3)]
    assert bindings == [[INPUT, 0], -1, [INPUT, 0]]
    assert codec_of(list[int]).decode(plan.literal(0)) == [*LONG, 7]


def test_D7_an_input_that_is_returned_is_not_written_again():
    def body(xs: list[int]) -> list[int]:
        count([1])
        return xs

    assert expanded(body, LONG).outputs[0].binding == [INPUT, 0]


def test_D7_a_copy_is_a_value_of_its_own():
    def body(xs: list[int]) -> int:
        return count(list(xs))

    assert first_binding(expanded(body, LONG)) == -1


@pytest.mark.parametrize("consumer", [count_if, measure, anything], ids=lambda one: one.name)
def test_D7_an_input_passed_on_as_a_wider_type_is_not_written_again(consumer):
    def body(xs: list[int]) -> float:
        return consumer(xs)

    plan = expanded(body, LONG)
    assert first_binding(plan) == [INPUT, 0]
    assert plan.literals == ()


def test_D7_small_inputs_stand_as_literals():
    def body(n: int) -> int:
        return add(n, n)

    assert len(expanded(body, 5).literals) == 2


def test_D7_without_encoded_inputs_everything_is_a_literal():
    @dynamic
    def body(xs: list[int]) -> int:
        return count(xs)

    assert first_binding(expand(body, [LONG])) == -1


def test_A5_two_inputs_that_are_one_object_give_the_bytes_of_two_equal_ones():
    def body(a: str, b: str) -> int:
        return add(size(a), size(b))

    copied = "".join(list(TEXT))
    assert copied is not TEXT
    assert expanded(body, TEXT, TEXT).to_bytes() == expanded(body, TEXT, copied).to_bytes()
