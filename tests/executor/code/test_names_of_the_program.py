"""A5, A12: annotations of a program's own file are named as an import names them, on every engine."""

import json

HEAD = """
import argparse, json, sys, warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar
import promissory
from promissory import Opaque, run, task, workflow
warnings.simplefilter("ignore")
T = TypeVar("T")

@dataclass
class A:
    a: int = 1

class Outer:
    class Inner:
        v = 4

class Holder(Generic[T]):
    def __init__(self, v):
        self.v = v

def value(a: A) -> int:
    return a.a

@task
def makes(c: type[A]) -> int:
    return c().a

@task
def calls(c: Callable[[A], int]) -> int:
    return c(A(5))

@task
def holds(c: Holder[int]) -> int:
    return c.v

@task
def of_list(c: list[type[A]]) -> int:
    return c[0]().a

@task
def maybe(c: type[A] | None) -> int:
    return c().a

@task
def nested(c: type[Outer.Inner]) -> int:
    return c.v

@task
def gives() -> Callable[[A], int]:
    return value

@workflow
def edge() -> int:
    return calls(gives())

ALL = {
    "makes": (makes, {"c": A}), "calls": (calls, {"c": value}), "holds": (holds, {"c": Holder(3)}),
    "of_list": (of_list, {"c": [A]}), "maybe": (maybe, {"c": A}), "nested": (nested, {"c": Outer.Inner}),
    "edge": (edge, {}),
}
"""
WANTED = {"makes": 1, "calls": 5, "holds": 3, "of_list": 1, "maybe": 1, "nested": 4, "edge": 5}


def test_A5_annotations_without_wire_form_name_the_module_and_not_main(project):
    project.write(
        "program.py",
        HEAD
        + """
if __name__ == "__main__":
    said = {}
    for name, (target, inputs) in ALL.items():
        try:
            said[name] = run(target, inputs, engine="processes", store="memory://", echo=False).result
        except Exception as error:
            said[name] = str(error)[:200]
    print(json.dumps({"said": said, "plans": [promissory.compile(t).digest for t, _ in ALL.values()]}))
""",
    )
    as_script = json.loads(project.python("program.py"))
    as_module = project.code(
        "import program, promissory; print(*[promissory.compile(t).digest for t, _ in program.ALL.values()])"
    )
    assert as_script["said"] == WANTED
    assert as_script["plans"] == as_module.split()
