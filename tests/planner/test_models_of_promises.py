"""P1, P3, P4: records and models that are made of promises, and the fields of promises of them."""

from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, NotRequired, TypedDict

import pytest

pydantic = pytest.importorskip("pydantic")
attrs = pytest.importorskip("attrs")
msgspec = pytest.importorskip("msgspec")

from promissory import Workflow, dynamic, run, task, workflow  # noqa: E402
from promissory.errors import EdgeTypeError, RunFailed, TaskTypeError  # noqa: E402
from promissory.planner.plan.plan import Plan  # noqa: E402


@dataclass
class Data:
    x: int
    y: str = "d"
    tags: list[str] = field(default_factory=list)


class Named(NamedTuple):
    x: int
    y: str = "d"
    tags: list[str] = ["n"]


class Typed(TypedDict):
    x: int
    y: NotRequired[str]
    tags: NotRequired[list[str]]


class Model(pydantic.BaseModel):
    x: int
    y: str = "d"
    tags: list[str] = pydantic.Field(default_factory=list)


@attrs.define
class Part:
    x: int
    y: str = "d"
    tags: list[str] = attrs.field(factory=list)


class Row(msgspec.Struct):
    x: int
    y: str = "d"
    tags: list[str] = []


RECORDS = [Data, Named, Typed, Model, Part, Row]
MODELS = [Model, Part]
each_record = pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
with_defaults = pytest.mark.parametrize("cls", [c for c in RECORDS if c is not Typed], ids=lambda cls: cls.__name__)


class Positive(pydantic.BaseModel):
    x: Annotated[int, pydantic.Field(gt=0)]
    y: str = ""

    @pydantic.field_validator("y")
    @classmethod
    def strip(cls, value):
        return value.strip()


@attrs.define
class Checked:
    x: int = attrs.field(validator=attrs.validators.gt(0))
    y: str = attrs.field(default="", converter=str.strip)


class Aliased(pydantic.BaseModel):
    x: int = pydantic.Field(alias="theX")
    y: int = pydantic.Field(validation_alias="theY", default=2)


@attrs.define
class Private:
    _x: int
    __y: int = 2
    z: int = attrs.field(default=3, alias="zed")


class Outer(pydantic.BaseModel):
    one: Positive
    many: list[Positive] = []
    by_name: dict[str, Data] = {}


@task
def number(n: int = 1) -> int:
    return n


@task
def text(s: str = "t") -> str:
    return s


@task
def anything(n: int) -> Any:
    return {0: 7, 1: "seven", 2: -7}[n]


@task
def shown(value: Any) -> str:
    return repr(value)


def taker(cls, name="take"):
    """A task that takes one of a class."""

    def take(value) -> str:
        return repr(value)

    take.__annotations__["value"] = cls
    take.__qualname__ = f"taker.<locals>.{name}"
    take.__name__ = name
    return task(take)


TAKEN = [*RECORDS, Positive, Checked, Aliased, Private, Outer, list[Model], dict[str, Part]]
TAKERS = {cls: taker(cls, f"take{number}") for number, cls in enumerate(TAKEN)}


def plan_of(body):
    """The plan of a body; it is verified, and read back from its bytes."""
    plan = workflow(body).compile()
    plan.verify()
    assert Plan.from_bytes(plan.to_bytes()).digest == plan.digest
    return plan


def result_of(body, **inputs):
    plan_of(body)
    return run(workflow(body), inputs, store="memory://models-of-promises", echo=False).result


@each_record
def test_P1_a_record_may_be_made_of_promises(cls):
    def flow() -> str:
        return TAKERS[cls](cls(x=number(4), y=text(), tags=[text("a"), "b"]))

    assert result_of(flow) == repr(cls(x=4, y="t", tags=["a", "b"]))


@with_defaults
def test_P1_fields_that_are_not_given_have_their_defaults(cls):
    def flow() -> str:
        return TAKERS[cls](cls(x=number(4)))

    assert result_of(flow) == repr(cls(x=4))


@pytest.mark.parametrize("cls", [Data, Named, Part, Row], ids=lambda cls: cls.__name__)
def test_P1_fields_may_be_given_by_their_place(cls):
    def flow() -> str:
        return TAKERS[cls](cls(number(4), text()))

    assert result_of(flow) == repr(cls(4, "t"))


@each_record
def test_P1_the_plan_shows_the_record(cls):
    def flow() -> str:
        return TAKERS[cls](cls(x=number(4), y="a", tags=[text()]))

    assert f"{cls.__name__}(x=number, y='a', tags=[text])" in str(plan_of(flow))


@each_record
def test_P1_a_record_of_promises_may_be_returned(cls):
    def flow() -> Any:
        return [cls(x=number(4), y="a", tags=[])]

    flow.__annotations__["return"] = list[cls]
    assert result_of(flow) == [cls(x=4, y="a", tags=[])]


def test_P1_records_of_promises_may_stand_in_lists_dicts_and_each_other():
    def flow() -> list[str]:
        return [
            TAKERS[list[Model]]([Model(x=number(1)), Model(x=2), Model(x=number(3), y=text())]),
            TAKERS[dict[str, Part]]({"a": Part(number(1)), "b": Part(2)}),
            TAKERS[Outer](
                Outer(one=Positive(x=number(1)), many=[Positive(x=number(2))], by_name={"k": Data(number(3))})
            ),
            TAKERS[Outer](Outer(one=Positive(x=5), many=[Positive(x=number(2))])),
        ]

    assert result_of(flow) == [
        repr([Model(x=1), Model(x=2), Model(x=3, y="t")]),
        repr({"a": Part(1), "b": Part(2)}),
        repr(Outer(one=Positive(x=1), many=[Positive(x=2)], by_name={"k": Data(3)})),
        repr(Outer(one=Positive(x=5), many=[Positive(x=2)])),
    ]


@each_record
def test_P1_a_record_of_promises_may_go_where_anything_is_taken(cls):
    def flow() -> str:
        return shown({"k": [cls(x=number(4), y="a", tags=[])]})

    assert result_of(flow) == repr({"k": [cls(x=4, y="a", tags=[])]})


def test_P1_tasks_of_one_code_that_take_other_types_are_told_apart():
    lists, dicts = taker(list[int]), taker(dict[str, int])

    def of_promises() -> list[str]:
        return [lists([number()]), dicts({"k": number()})]

    def of_constants() -> list[str]:
        return [lists([1]), dicts({"k": 1})]

    assert result_of(of_constants) == result_of(of_promises) == ["[1]", "{'k': 1}"]


def test_P1_a_factory_is_called_for_each_record():
    def flow() -> list[Model]:
        return [Model(x=number(1)), Model(x=number(2))]

    first, second = result_of(flow)
    first.tags.append("a")
    assert second.tags == []


def test_P1_aliases_of_pydantic_are_the_names_of_the_constructor():
    def flow() -> Aliased:
        return Aliased(theX=number(4), theY=number(5))

    found = result_of(flow)
    assert (found, found.model_fields_set) == (Aliased(theX=4, theY=5), {"x", "y"})


def test_P1_private_fields_of_attrs_are_given_without_their_underscore():
    def flow() -> Private:
        return Private(x=number(4), zed=number(5))

    assert result_of(flow) == Private(4, zed=5)


def test_P1_a_dynamic_may_make_one_of_promises():
    @dynamic
    def grow(model: Model, times: int) -> Model:
        return grow(Model(x=number(times), y=text(model.y)), times - 1) if times else model

    def flow() -> Model:
        return grow(Model(x=number(9)), 3)

    assert result_of(flow) == Model(x=1, y="d")


@pytest.mark.parametrize("cls", [Model, Part], ids=lambda cls: cls.__name__)
def test_P2_a_field_that_the_class_has_not_is_refused_with_those_that_it_has(cls):
    def flow() -> str:
        return TAKERS[cls](cls(x=number(), z=1))

    with pytest.raises(TypeError, match=rf"{cls.__name__} has no field 'z'; it has x, y, tags"):
        workflow(flow).compile()


@pytest.mark.parametrize("cls", [Data, Named, Model, Part, Row], ids=lambda cls: cls.__name__)
def test_P2_a_field_without_a_default_that_is_not_given_is_refused(cls):
    def flow() -> str:
        return TAKERS[cls](cls(y=text()))

    with pytest.raises(Exception, match=r"\bx\b") as caught:
        workflow(flow).compile()
    assert isinstance(caught.value, TypeError | EdgeTypeError)


def test_P2_a_field_that_is_given_twice_is_refused():
    def flow() -> str:
        return TAKERS[Part](Part(number(), x=number()))

    with pytest.raises(TypeError, match="x"):
        workflow(flow).compile()


def test_P2_too_many_fields_by_place_are_refused():
    def flow() -> str:
        return TAKERS[Part](Part(number(), "y", [], 4, 5))

    with pytest.raises(TypeError, match="Part takes 3 fields by place, not 5"):
        workflow(flow).compile()


def test_P2_a_model_of_pydantic_takes_no_fields_by_place():
    def flow() -> str:
        return TAKERS[Model](Model(number()))

    with pytest.raises(TypeError):
        workflow(flow).compile()


@each_record
def test_P3_a_constant_of_a_wrong_type_is_named_with_its_field(problem_of, cls):
    @workflow
    def flow() -> str:
        return TAKERS[cls](cls(x=number(), y=5, tags=[]))

    error = problem_of(flow)
    assert isinstance(error, EdgeTypeError)
    assert ("['y']" if cls is Typed else ".y") in error.message
    assert "expected str, got int" in error.message


@each_record
def test_P3_a_promise_of_a_wrong_type_is_named_with_its_field(problem_of, cls):
    @workflow
    def flow() -> str:
        return TAKERS[cls](cls(x=text(), y="", tags=[]))

    error = problem_of(flow)
    assert isinstance(error, EdgeTypeError)
    assert ("['x']" if cls is Typed else ".x") in error.message
    assert "wants int, but text() gives str" in error.message


@each_record
def test_P3_a_mistake_deep_in_a_record_is_named_with_its_path(problem_of, cls):
    @workflow
    def flow() -> str:
        return TAKERS[cls](cls(x=number(), y="", tags=["a", number()]))

    error = problem_of(flow)
    assert isinstance(error, EdgeTypeError)
    assert ("['tags'][1]" if cls is Typed else ".tags[1]") in error.message


@pytest.mark.parametrize("cls", [Positive, Checked], ids=lambda cls: cls.__name__)
def test_P4_constraints_are_checked_when_the_values_are_there(cls):
    def flow(n: int) -> str:
        return TAKERS[cls](cls(x=number(n), y=text("  a ")))

    assert result_of(flow, n=5) == repr(cls(x=5, y="a"))
    with pytest.raises(RunFailed) as caught:
        result_of(flow, n=-5)
    assert isinstance(caught.value.__cause__, TaskTypeError)
    assert "x" in str(caught.value).partition("(value=…)")[2]
    assert "greater than 0" in str(caught.value) or "> 0" in str(caught.value)


def test_P4_constraints_of_a_model_inside_another_are_checked_too():
    def flow(n: int) -> str:
        return TAKERS[Outer](Outer(one=Positive(x=1), many=[Positive(x=1), Positive(x=number(n))]))

    with pytest.raises(RunFailed) as caught:
        result_of(flow, n=-5)
    assert isinstance(caught.value.__cause__, TaskTypeError)
    assert "x: Input should be greater than 0" in str(caught.value)


@each_record
def test_P4_a_value_of_another_type_that_comes_as_any_is_named_with_its_field(cls):
    def flow(n: int) -> str:
        return TAKERS[cls](cls(x=anything(n), y="", tags=[]))

    assert result_of(flow, n=0) == repr(cls(x=7, y="", tags=[]))
    with pytest.raises(RunFailed) as caught:
        result_of(flow, n=1)
    assert isinstance(caught.value.__cause__, TaskTypeError)
    assert ("['x']" if cls is Typed else ".x") + ": expected int, got str" in str(caught.value)


def test_P4_a_model_that_is_only_handed_on_is_not_validated_again():
    @task
    def made() -> Positive:
        return Positive.model_construct(x=-1, y="  a ")

    def flow() -> str:
        return TAKERS[Positive](made())

    assert result_of(flow) == repr(Positive.model_construct(x=-1, y="  a "))


@pytest.mark.parametrize("cls", [Positive, Checked], ids=lambda cls: cls.__name__)
def test_models_outside_of_a_workflow_behave_as_ever(cls):
    assert (cls(x=3, y=" a ").x, cls(x=3, y=" a ").y) == (3, "a")
    for wrong in ({"x": -1}, {"x": None}, {}, {"x": "n"}):
        with pytest.raises((ValueError, TypeError)):
            cls(**wrong)


@pytest.mark.parametrize("cls", [Positive, Checked], ids=lambda cls: cls.__name__)
def test_models_of_constants_are_validated_in_a_workflow_at_once(cls):
    def flow() -> str:
        return TAKERS[cls](cls(x=-1))

    with pytest.raises(ValueError):
        workflow(flow).compile()


def test_models_in_the_body_of_a_task_are_validated():
    @task
    def make(n: int) -> str:
        return repr(Positive(x=n, y=" a "))

    def flow(n: int) -> str:
        return make(number(n))

    assert result_of(flow, n=1) == repr(Positive(x=1, y="a"))
    with pytest.raises(RunFailed, match="greater than 0"):
        result_of(flow, n=-1)


def test_the_signature_of_a_model_is_as_it_was():
    import inspect

    assert [*inspect.signature(Part).parameters] == ["x", "y", "tags"]
    assert [*inspect.signature(Model).parameters] == ["x", "y", "tags"]


# --- fields of promises -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [c for c in RECORDS if c is not Typed], ids=lambda cls: cls.__name__)
def test_P1_a_field_of_a_promise_of_a_record_may_be_taken(cls):
    def make(n: int):
        return cls(x=n, tags=["a", "b"])

    make.__annotations__["return"] = cls
    made = task(make)

    def flow(n: int) -> list[Any]:
        p = made(n)
        return [number(p.x), text(p.tags[1]), text(p.y)]

    assert result_of(flow, n=4) == [4, "b", "d"]
    assert "make.tags[1]" in str(plan_of(flow))


def test_P1_fields_of_a_model_inside_another_may_be_taken():
    @task
    def made(n: int) -> Outer:
        return Outer(one=Positive(x=n), many=[Positive(x=n + 1)], by_name={"k": Data(n + 2)})

    def flow(n: int) -> list[int]:
        p = made(n)
        return [number(p.one.x), number(p.many[0].x), number(p.by_name["k"].x)]

    assert result_of(flow, n=4) == [4, 5, 6]


def test_P1_a_model_may_be_made_of_fields_of_another():
    @task
    def made(n: int) -> Model:
        return Model(x=n, tags=["a"])

    def flow(n: int) -> Model:
        p = made(n)
        return Model(x=p.x, y=p.tags[0], tags=p.tags)

    assert result_of(flow, n=4) == Model(x=4, y="a", tags=["a"])


def test_P2_a_field_that_a_model_has_not_is_refused_with_those_that_it_has(problem_of):
    @task
    def made() -> Model:
        return Model(x=1)

    @workflow
    def flow() -> Any:
        return made().z

    assert "x, y, tags" in f"{problem_of(flow).message} {problem_of(flow).way_out}"


def totals():
    """A workflow of several outputs, built by hand."""
    wf = Workflow("totals")
    n = wf.add_workflow_input("n", int)
    wf.add_workflow_output("total", wf.add_entity(number, n=n))
    wf.add_workflow_output("word", wf.add_entity(text, s="w"))
    return wf


@pytest.mark.parametrize("take", [lambda p: (p.total, p.word), lambda p: (p["total"], p["word"])], ids=["name", "key"])
def test_P1_the_outputs_of_a_workflow_may_be_taken(take):
    inner = totals()

    def flow(n: int) -> Model:
        total, word = take(inner(n=number(n)))
        return Model(x=number(total), y=text(word))

    assert result_of(flow, n=4) == Model(x=4, y="w")


def test_P3_the_types_of_outputs_are_checked(problem_of):
    inner = totals()

    @workflow
    def flow() -> int:
        return number(inner(n=1).word)

    error = problem_of(flow)
    assert isinstance(error, EdgeTypeError)
    assert "wants int" in error.message
    assert "gives str" in error.message


@pytest.mark.parametrize("take", [lambda p: p.totl, lambda p: p["totl"]], ids=["name", "key"])
def test_P2_an_output_that_a_workflow_has_not_is_refused_with_those_that_it_has(problem_of, take):
    inner = totals()

    @workflow
    def flow() -> Any:
        return take(inner(n=1))

    error = problem_of(flow)
    assert "totl" in error.message
    assert "total" in f"{error.message} {error.way_out}"
    assert "word" in f"{error.message} {error.way_out}"
