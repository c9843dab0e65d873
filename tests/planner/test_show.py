"""What a person sees: the text of a plan and its flowchart, printed exactly."""

from dataclasses import dataclass
from typing import Any

import promissory
from promissory import Workflow, dynamic, task, workflow


@task
def split(numbers: list[int]) -> tuple[list[int], list[int]]:
    return numbers[::2], numbers[1::2]


@task
def merge(sorted_list1: list[int], sorted_list2: list[int]) -> list[int]:
    return sorted(sorted_list1 + sorted_list2)


@dynamic
def merge_sort(numbers: list[int], threshold: int) -> list[int]:
    return merge_sort_remotely(numbers, threshold) if len(numbers) > threshold else sorted(numbers)


@workflow
def merge_sort_remotely(numbers: list[int], threshold: int) -> list[int]:
    left, right = split(numbers)
    return merge(merge_sort(left, threshold), merge_sort(right, threshold))


@dataclass
class Row:
    name: str
    price: float


@task
def note(row: Row | None = None, *, tags: dict[str, Any] = {}) -> None:
    pass


@task
def total(xs: list[int]) -> int:
    return sum(xs)


@workflow
def inner(x: int) -> int:
    return total([x, 1])


def test_show_prints_the_merge_sort_of_the_format_document():
    assert merge_sort_remotely.compile().show() == (
        "plan merge_sort_remotely(numbers: list[int], threshold: int) -> list[int]\n"
        "  split        : tuple[list[int], list[int]] = task split(numbers=numbers)\n"
        "  merge_sort   : list[int] = dynamic merge_sort(numbers=split[0], threshold=threshold)\n"
        "  merge_sort~2 : list[int] = dynamic merge_sort(numbers=split[1], threshold=threshold)\n"
        "  merge        : list[int] = task merge(sorted_list1=merge_sort, sorted_list2=merge_sort~2)\n"
        "  return merge"
    )


def test_show_prints_nested_plans_once_and_literals_as_python_does():
    @workflow
    def outer(x: int = 5) -> dict[str, int]:
        first = inner(x)
        note(Row("a", 1), tags={"k": [True, None, first]})
        note()
        return {"a": first, "b": inner(2)}

    assert str(outer.compile()) == (
        "plan outer(x: int = 5) -> dict[str, int]\n"
        "  inner   : int = plan inner(x=x)\n"
        "  note    : None = task note(row=Row(name='a', price=1.0), tags={'k': [True, None, inner]})\n"
        "  note~2  : None = task note()\n"
        "  inner~2 : int = plan inner(x=2)\n"
        "  return {'a': inner, 'b': inner~2}\n"
        "\n"
        "plan inner(x: int) -> int\n"
        "  total : int = task total(xs=[x, 1])\n"
        "  return total"
    )


def test_show_of_order_names_and_several_outputs():
    with Workflow("several") as wf:
        x = wf.add_workflow_input("x", int)
        first = inner(x).with_overrides(name="one")
        first >> note(Row("a", 1), tags={"k": [True, None, "t", 1.5]})
        wf.add_workflow_output("a", first)
        wf.add_workflow_output("b", [x, 7], list[int])
    assert str(wf.compile()) == (
        "plan several(x: int) -> (a: int, b: list[int])\n"
        "  one  : int = plan inner(x=x)\n"
        "  note : None = task note(row=Row(name='a', price=1.0), tags={'k': [True, None, 't', 1.5]}) after one\n"
        "  return a = one\n"
        "  return b = [x, 7]\n"
        "\n"
        "plan inner(x: int) -> int\n"
        "  total : int = task total(xs=[x, 1])\n"
        "  return total"
    )


def test_show_shortens_what_is_long():
    @workflow
    def flow() -> int:
        return total(list(range(5000)))

    lines = str(flow.compile()).splitlines()
    assert lines[1].startswith("  total : int = task total(xs=[0, 1, 2, 3,")
    assert lines[1].endswith("…)")
    assert len(lines[1]) < 100


def test_show_of_a_plan_without_nodes():
    @workflow
    def same(x: int) -> int:
        return x

    assert str(same.compile()) == "plan same(x: int) -> int\n  return x"


def test_mermaid_of_the_merge_sort():
    assert merge_sort_remotely.compile().to_mermaid() == (
        "flowchart TD\n"
        '  g0i0>"numbers: list[int]"]\n'
        '  g0i1>"threshold: int"]\n'
        '  g0n0["split"]\n'
        "  g0i0 -->|numbers| g0n0\n"
        '  g0n1("merge_sort")\n'
        "  g0n0 -->|numbers| g0n1\n"
        "  g0i1 -->|threshold| g0n1\n"
        '  g0n2("merge_sort~2")\n'
        "  g0n0 -->|numbers| g0n2\n"
        "  g0i1 -->|threshold| g0n2\n"
        '  g0n3["merge"]\n'
        "  g0n1 -->|sorted_list1| g0n3\n"
        "  g0n2 -->|sorted_list2| g0n3\n"
        '  g0o(("merge_sort_remotely"))\n'
        "  g0n3 --> g0o"
    )


def test_mermaid_of_nested_plans_and_order():
    @workflow
    def middle(xs: list[int]) -> int:
        return total(xs)

    @workflow
    def outer(xs: list[int]) -> int:
        note() >> middle(xs)
        return middle(xs)

    assert outer.compile().to_mermaid() == (
        "flowchart TD\n"
        '  g0i0>"xs: list[int]"]\n'
        '  g0n0["note"]\n'
        '  g0n1[["middle"]]\n'
        "  g0i0 -->|xs| g0n1\n"
        "  g0n0 -.-> g0n1\n"
        '  g0n2[["middle~2"]]\n'
        "  g0i0 -->|xs| g0n2\n"
        '  g0o(("outer"))\n'
        "  g0n2 --> g0o\n"
        '  subgraph g1["plan middle"]\n'
        '  g1i0>"xs: list[int]"]\n'
        '  g1n0["total"]\n'
        "  g1i0 -->|xs| g1n0\n"
        '  g1o(("middle"))\n'
        "  g1n0 --> g1o\n"
        "  end"
    )


def test_mermaid_draws_an_input_inside_a_list():
    assert "g0i0 -->|xs| g0n0" in inner.compile().to_mermaid()


def test_mermaid_quotes_what_mermaid_would_read():
    with Workflow('a"<b>') as wf:
        wf.add_workflow_output("y", total([1]))
    assert 'g0o(("a#quot;#lt;b#gt;"))' in wf.compile().to_mermaid()


def test_a_notebook_is_given_text_and_flowchart():
    plan = promissory.planner.compile(total)
    assert plan._repr_mimebundle_() == {"text/plain": str(plan), "text/vnd.mermaid": plan.to_mermaid()}
