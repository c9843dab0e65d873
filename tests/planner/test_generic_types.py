"""P1, P3: promises of generic records, literals of them with promises inside, and values of the newer types in
plans.
"""

import enum
import re
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Generic, NamedTuple, SupportsFloat, TypeVar
from uuid import UUID

import pytest

from promissory import run, task, workflow
from promissory.errors import EdgeTypeError, PromiseAttributeError, RunFailed
from promissory.planner.plan.plan import Plan

T = TypeVar("T")
U = TypeVar("U")


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass
class Box(Generic[T]):
    item: T
    more: list[T] = field(default_factory=list)


class Pair(NamedTuple, Generic[T, U]):
    a: T
    b: U


@dataclass
class Node(Generic[T]):
    value: T
    next: "Node[T] | None" = None


@task
def number() -> int:
    return 1


@task
def text() -> str:
    return "a"


@task
def anything() -> Any:
    return "x"


@task
def boxed(x: int) -> Box[int]:
    return Box(x, [x + 1])


@task
def told_ints(box: Box[int]) -> str:
    return repr(box)


@task
def told_floats(box: Box[float]) -> str:
    return repr(box)


@task
def told_bare(box: Box) -> str:
    return repr(box)


@task
def told_pair(pair: Pair[int, str]) -> str:
    return repr(pair)


@task
def told_tuple(pair: tuple[int, str]) -> str:
    return repr(pair)


@task
def told_node(node: Node[int]) -> str:
    return repr(node)


@task
def told_either(box: Box[int] | Box[str] | None) -> str:
    return repr(box)


@task
def told_nested(box: Box[Box[int]]) -> str:
    return repr(box)


@task
def told_anything(x: Any) -> str:
    return repr(x)


@task
def told_number(x: SupportsFloat) -> str:
    return repr(float(x))


@task
def told_numbers(xs: list[SupportsFloat]) -> str:
    return repr([float(x) for x in xs])


def result_of(body, **inputs):
    """What a workflow gives on the inline engine; its plan is verified and read back from its bytes."""
    flow = workflow(body)
    plan = flow.compile()
    plan.verify()
    assert Plan.from_bytes(plan.to_bytes()).digest == plan.digest
    assert str(plan)
    return run(flow, inputs, store="memory://generic-types", echo=False).result


LITERALS = [
    (lambda: told_ints(Box(number())), "Box(item=1, more=[])"),
    (lambda: told_ints(Box(number(), [2, number()])), "Box(item=1, more=[2, 1])"),
    (lambda: told_ints(Box(5, [6])), "Box(item=5, more=[6])"),
    (lambda: told_ints(Box[int](number())), "Box(item=1, more=[])"),
    (lambda: told_ints(boxed(number())), "Box(item=1, more=[2])"),
    (lambda: told_floats(Box(number(), [1])), "Box(item=1.0, more=[1.0])"),
    (lambda: told_bare(Box(text(), [number()])), "Box(item='a', more=[1])"),
    (lambda: told_pair(Pair(number(), text())), "Pair(a=1, b='a')"),
    (lambda: told_tuple(Pair(number(), "b")), "(1, 'b')"),
    (
        lambda: told_node(Node(number(), Node(2, Node(number())))),
        "Node(value=1, next=Node(value=2, next=Node(value=1, next=None)))",
    ),
    (lambda: told_either(Box(number())), "Box(item=1, more=[])"),
    (lambda: told_either(Box(text())), "Box(item='a', more=[])"),
    (lambda: told_either(boxed(1)), "Box(item=1, more=[2])"),
    (
        lambda: told_nested(Box(Box(number()), [boxed(1), Box(3)])),
        "Box(item=Box(item=1, more=[]), more=[Box(item=1, more=[2]), Box(item=3, more=[])])",
    ),
    (lambda: told_anything(Box(number(), ["b"])), "Box(item=1, more=['b'])"),
    (lambda: told_anything([Pair(number(), boxed(1))]), "[Pair(a=1, b=Box(item=1, more=[2]))]"),
    (lambda: told_anything(boxed(1)), "Box(item=1, more=[2])"),
    (lambda: told_number(number()), "1.0"),
    (lambda: told_number(Decimal("1.5")), "1.5"),
    (lambda: told_numbers([number(), 2.5, Decimal(3)]), "[1.0, 2.5, 3.0]"),
]


@pytest.mark.parametrize(("make", "shown"), LITERALS, ids=range(len(LITERALS)))
def test_P1_promises_may_stand_in_literals_of_generic_records(make, shown):
    def flow() -> str:
        return make()

    assert result_of(flow) == shown


def test_P1_fields_and_items_of_them_may_be_taken():
    def flow(pair: Pair[Box[int], str]) -> list[Any]:
        box, name = pair
        return [box.item, pair.a.more[0], pair[1], name, boxed(box.item).more]

    assert result_of(flow, pair=Pair(Box(1, [2]), "n")) == [1, 2, "n", "n", [2]]


def test_P1_they_may_be_returned_and_are_of_the_authors_classes():
    def flow() -> Pair[Box[float], Node[int] | None]:
        return Pair(Box(number()), Node(2, Node(number())))

    assert result_of(flow) == Pair(Box(1.0), Node(2, Node(1)))


def test_the_plan_shows_them_with_their_arguments():
    @workflow
    def flow(pair: Pair[int, str]) -> Box[float]:
        return Box(pair.a, [number()])

    assert (
        str(flow.compile()) == "plan flow(pair: Pair[int, str]) -> Box[float]\n"
        "  number : int = task number()\n"
        "  return Box[float](item=pair.a, more=[number])"
    )


REFUSED = [
    (lambda: told_ints(Box(text())), "told_ints(box=…) (at .item) wants int, but text() gives str"),
    (lambda: told_ints(Box(number(), [text()])), "told_ints(box=…) (at .more[0]) wants int, but text() gives str"),
    (lambda: told_ints(Box(number(), ["x"])), "told_ints(box=…) (at .more[0]): expected int, got str"),
    (lambda: told_ints(Box("x")), "told_ints(box=…) (at .item): expected int, got str"),
    (lambda: told_ints(Pair(number(), 1)), "told_ints(box=…) wants Box[int], but a Pair was given"),
    (lambda: told_ints(number()), "told_ints(box=…) wants Box[int], but number() gives int"),
    (
        lambda: told_node(Node(1, Node(text()))),
        "told_node(node=…) (at .next) wants Node[int] | None, but Node with promises in it was given",
    ),
    (lambda: told_pair(Pair(number(), number())), "told_pair(pair=…) (at .b) wants str, but number() gives int"),
    (
        lambda: told_either(Box([number()])),
        "told_either(box=…) wants Box[int] | Box[str] | None, but Box with promises in it was given",
    ),
    (
        lambda: told_number("x"),
        "told_number(x=…): str is not compatible with the SupportsFloat protocol because it has no method "
        "named '__float__'",
    ),
]


@pytest.mark.parametrize(("make", "sentence"), REFUSED, ids=range(len(REFUSED)))
def test_P3_what_does_not_fit_is_named_with_its_place(problem_of, make, sentence):
    @workflow
    def flow() -> str:
        return make()

    error = problem_of(flow)
    assert isinstance(error, EdgeTypeError)
    assert error.message == sentence


def test_P3_a_promise_of_other_arguments_is_refused(problem_of):
    @task
    def named() -> Box[str]:
        return Box("a")

    @workflow
    def flow() -> str:
        return told_ints(named())

    message = problem_of(flow).message
    assert message.startswith("told_ints(box=…) wants Box[int], but named() gives Box[str]")


@pytest.mark.parametrize("take", [told_floats, told_bare], ids=["floats", "bare"])
def test_P3_a_promise_goes_where_a_literal_of_its_value_goes(take):
    def literal() -> str:
        return take(Box(1, [2]))

    def promised() -> str:
        return take(boxed(1))

    assert result_of(promised) == result_of(literal)


def test_P2_a_field_that_it_has_not_raises_at_once(problem_of):
    @workflow
    def flow() -> Any:
        return boxed(1).weight

    error = problem_of(flow)
    assert isinstance(error, PromiseAttributeError)
    assert (error.message, error.way_out) == ("Box[int] has no field 'weight'", "it has item, more")


@pytest.mark.parametrize(("make", "sentence"), [
    (lambda: told_ints(Box(anything())), "told_ints(box=…).item: expected int, got str"),
    (lambda: told_pair(Pair(1, [anything()][0])), None),
    (lambda: told_number(anything()), "told_number(x=…): str is not compatible with the SupportsFloat protocol"),
    (lambda: told_numbers([1, anything()]), "told_numbers(xs=…): item 1 of list is not "
        "compatible with the SupportsFloat protocol"),
], ids=range(4))  # fmt: skip
def test_P4_a_value_of_any_that_is_something_else_is_named_with_its_path(make, sentence):
    def flow() -> str:
        return make()

    if sentence is None:
        assert result_of(flow) == "Pair(a=1, b='x')"
        return
    with pytest.raises(RunFailed) as caught:
        result_of(flow)
    assert sentence in str(caught.value)


def test_P3_a_promise_given_where_a_protocol_is_wanted_is_asked_at_run_time():
    def flow() -> str:
        return told_number(text())

    with pytest.raises(RunFailed, match="is not compatible with the SupportsFloat protocol"):
        result_of(flow)


# --- containers that are no list, tuple or dict -----------------------------------------------------------------------


@task
def told_queue(queue: deque[int]) -> str:
    return repr(queue)


@pytest.mark.parametrize(
    "make",
    [
        lambda: told_queue(deque([number(), 2])),
        lambda: told_anything(deque([number()])),
        lambda: told_anything({Access.READ: deque([number()])}),
    ],
    ids=range(3),
)
def test_P2_a_promise_in_a_container_that_can_hold_none_is_an_error(problem_of, make):
    @workflow
    def flow() -> str:
        return make()

    assert isinstance(problem_of(flow), TypeError)


def test_P3_an_item_of_one_that_does_not_fit_is_named_with_its_place(problem_of):
    @workflow
    def flow() -> str:
        return told_queue(deque([1, 2, "x"]))

    assert problem_of(flow).message == "told_queue(queue=…) (at [2]): expected int, got str"


# --- strictness, defaults, text ---------------------------------------------------------------------------------------


def test_A10_none_of_them_is_a_class_that_nothing_knows():
    @task(strict=True)
    def everything(
        box: Box[int],
        pair: Pair[Box[str], None],
        amount: Decimal,
        who: UUID,
        when: re.Pattern[str],
        queue: deque[int],
        words: Counter[str],
        order: OrderedDict[str, int],
        access: Access,
        number: SupportsFloat,
        rest: T,
    ) -> complex:
        return 1j

    assert str(everything.signature.interface).startswith(
        "(box: Box[int], pair: Pair[Box[str], None], amount: Decimal, who: UUID, when: Pattern[str]"
    )


def test_A10_defaults_of_them_are_fresh_for_each_call():
    @task
    def collect(
        item: int,
        into: deque[int] = deque(maxlen=2),
        counts: Counter[str] = Counter("a"),
        box: Box[list[int]] = Box([1]),
    ) -> list[Any]:
        into.append(item)
        counts["a"] += 1
        box.item.append(item)
        return [list(into), counts["a"], box.item]

    def flow() -> list[Any]:
        return [collect(1), collect(2)]

    assert result_of(flow) == [[[1], 2, [1, 1]], [[2], 2, [1, 2]]]
    assert collect(3) == [[3], 2, [1, 3]]


def test_the_plan_shows_literals_of_them_as_people_write_them():
    @task
    def take(amount: Decimal, access: Access, words: Counter[str]) -> int:
        return 1

    @workflow
    def flow() -> int:
        return take(Decimal("1.50"), Access.READ, Counter("a"))

    line = str(flow.compile()).splitlines()[1]
    assert "1.50" in line
    assert "READ" in line
    assert "'a'" in line
