"""Workflows by hand, plans, types as values, secrets, pickles on purpose, codecs."""

from dataclasses import dataclass
from typing import Any, assert_type

from promissory import Opaque, Plan, Run, Secret, Type, Workflow, compile, expand, register_codec, run, task
from promissory import dynamic, type_of


@dataclass
class Celsius:
    degrees: float


class Kelvin:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees


def degrees_of(one: Kelvin) -> float:
    return one.degrees


@task
def inc(x: int) -> int:
    return x + 1


@task
def warmer(one: Celsius) -> Celsius:
    return Celsius(one.degrees + 1)


@task
def kept(model: Opaque[Kelvin]) -> Opaque[dict[str, Kelvin]]:
    return {"a": model}


@task
def fetch(url: str, token: Secret) -> int:
    assert_type(token.reveal(), str)
    assert_type(token.name, str)
    return len(token.reveal())


@dynamic
def fib(n: int) -> int:
    return n if n < 2 else inc(fib(n - 1))


def codecs() -> None:
    register_codec(Kelvin, wire=float, to_wire=degrees_of, from_wire=Kelvin)
    register_codec(Kelvin, wire=float, to_wire=lambda one: one.degrees, from_wire=Kelvin, name="lab:Kelvin")


def by_hand() -> None:
    with Workflow("by hand") as wf:
        assert_type(wf, Workflow)
        x = wf.add_workflow_input("x", int, default=3)
        assert_type(x, int)
        assert_type(wf.add_workflow_input("names", list[str]), list[str])
        assert_type(wf.add_entity(inc, x=1), Any)
        wf.add_workflow_output("y", inc(inc(x)), int)
    assert_type(wf.compile(), Plan)
    assert_type(wf.run(x=1), Any)
    assert_type(run(wf, {"x": 1}), Run[Any])
    assert_type(compile(wf), Plan)


def plans(plan: Plan) -> None:
    assert_type(len(plan), int)
    assert_type(run(plan).result, Any)
    assert_type(compile(fib), Plan)
    expand(fib, [3])


def types() -> None:
    assert_type(type_of(int), Type)
    assert_type(type_of(list[Celsius]), Type)
    assert_type(warmer(Celsius(1)), Celsius)
    assert_type(warmer(Celsius(1)).degrees, float)
    assert_type(kept(Kelvin(1)), dict[str, Kelvin])
    assert_type(fetch("u", Secret("API_TOKEN")), int)


def refused() -> None:
    Workflow("a").add_workflow_input("x")  # error: an input has a type
    fetch(Workflow("a").add_workflow_input("x", int), Secret("a"))  # error: that input is an int
    Workflow("a").add_entity(3)  # error: nothing to call
    Workflow("a").add_output("y", inc(1))  # error: it is called add_workflow_output
    Workflow("a").compile().run()  # error: a plan is run by run(plan)
    fetch("u", "API_TOKEN")  # error: a text is no Secret
    fetch(Secret("URL"), Secret("API_TOKEN"))  # error: a Secret is no text
    Secret(3)  # error: a secret has a name
    Secret("a").value  # error: its value is told by reveal()
    warmer(20.5)  # error: a number is no Celsius
    kept("a")  # error: an opaque value has its class still
    inc(kept(Kelvin(1)))  # error: a dict where an int is wanted
    inc(type_of(int))  # error: a Type is no value of it
    type_of()  # error: the type of what?
    compile("flow")  # error: the name of a workflow is none
    expand(inc, [1])  # error: a task has no plan to expand
    register_codec(Kelvin, wire=float)  # error: both ways are needed
    register_codec(Kelvin, wire=float, to_wire=len, from_wire=Kelvin)  # error: a Kelvin has no length
    register_codec(Kelvin, wire=float, to_wire=degrees_of, from_wire=str)  # error: it comes back as a Kelvin
