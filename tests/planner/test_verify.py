"""The invariants of `promissory.planner.plan.verify`, one by one: a plan that breaks it is refused with graph and node
named.
"""

from array import array
from dataclasses import replace

import pytest

from promissory import Plan, dynamic, task, type_of, workflow
from promissory.errors import PlanError
from promissory.planner.plan.model import ARM, DICT, INPUT, LIST, NODE, RECORD, TUPLE, Output, Shape
from promissory.typesys.canonical import pack


@task
def inc(x: int, by: int = 1) -> int:
    return x + by


@task
def text() -> str:
    return "a"


@task
def take(x: int | list[int]) -> int:
    return 1


@task
def pick(x: dict[str, tuple[int, int]]) -> int:
    return 1


@workflow
def inner(x: int) -> int:
    return inc(x)


@dynamic
def grow(n: int) -> int:
    return 0


@workflow
def flow(x: int) -> int:
    a = inc(x, 5)
    b = inner(a)
    text()
    take(b)
    pick({"k": (a, 1)})
    c = grow(b)
    a >> c
    return c


PLAN = flow.compile()


def with_graph(number: int = 0, **changes: object) -> Plan:
    graphs = list(PLAN.shape.graphs)
    graphs[number] = replace(graphs[number], **changes)
    return replace(PLAN, shape=replace(PLAN.shape, graphs=tuple(graphs)))


def with_binding(node: int, parameter: int, binding: object, graph: int = 0) -> Plan:
    columns = PLAN.shape.graphs[graph]
    rows = [columns.bindings_of(index) for index in range(len(columns))]
    rows[node][parameter] = binding
    return with_rows(rows, graph)


def with_rows(rows: list[object], graph: int = 0) -> Plan:
    packed, offsets = b"", array("I", [0])
    for row in rows:
        packed += pack(row)
        offsets.append(len(packed))
    return with_graph(graph, bindings=packed, offsets=offsets)


def with_callee(index: int, **changes: object) -> Plan:
    callees = list(PLAN.shape.callees)
    callees[index] = replace(callees[index], **changes)
    return replace(PLAN, shape=replace(PLAN.shape, callees=tuple(callees)))


def targets(*numbers: int) -> array:
    return array("I", numbers)


GRAPH = PLAN.graph
INC, PARAMETER = PLAN.shape.callees[0], PLAN.shape.callees[0].interface.parameters[0]


def test_a_compiled_plan_has_every_invariant():
    assert [node.name for node in PLAN.nodes()] == ["inc", "inner", "text", "take", "pick", "grow"]
    PLAN.verify()


BROKEN = [
    ("1 no graph", lambda: replace(PLAN, shape=Shape((), (), 0)), "the plan has no graph"),
    (
        "1 a graph calls itself",
        lambda: with_graph(1, kinds=b"\1", targets=targets(1)),
        "graph 1 does not exist after graph 1",
    ),
    (
        "1 a graph calls one before it",
        lambda: with_graph(1, kinds=b"\1", targets=targets(0)),
        "graph 0 does not exist after graph 1",
    ),
    ("2 fewer kinds", lambda: with_graph(kinds=GRAPH.kinds[:-1]), "its columns have different lengths"),
    ("2 fewer targets", lambda: with_graph(targets=GRAPH.targets[:-1]), "its columns have different lengths"),
    ("2 fewer offsets", lambda: with_graph(offsets=GRAPH.offsets[:-1]), "its columns have different lengths"),
    ("2 more bindings", lambda: with_graph(bindings=GRAPH.bindings + b"\x90"), "its columns have different lengths"),
    (
        "2 offsets inside a row",
        lambda: with_graph(1, offsets=targets(0), kinds=b"", targets=targets()),
        "different lengths",
    ),
    ("2 a row cut in two", lambda: with_graph(offsets=targets(0, 1, *GRAPH.offsets[2:])), "node 0"),
    ("2 an unknown callee", lambda: with_graph(targets=targets(99, *GRAPH.targets[1:])), "callee 99 does not exist"),
    (
        "2 an unknown graph",
        lambda: with_graph(targets=targets(0, 9, *GRAPH.targets[2:])),
        "graph 9 does not exist after graph 0",
    ),
    ("2 an unknown kind", lambda: with_graph(kinds=b"\x08" + GRAPH.kinds[1:]), "node 0: unknown kind 8"),
    ("3 its own value", lambda: with_binding(0, 0, 0), "node 0, which is not before it"),
    ("3 a later value", lambda: with_binding(0, 0, 5), "node 5, which is not before it"),
    (
        "3 a later value in a part",
        lambda: with_binding(4, 0, [DICT, [["k", [TUPLE, [5, 0]]]]]),
        "node 5, which is not before it",
    ),
    ("3 order from itself", lambda: with_graph(after={2: (2,)}), "an order edge doesn't lead from an earlier node"),
    (
        "3 order from a later node",
        lambda: with_graph(after={0: (3,)}),
        "an order edge doesn't lead from an earlier node",
    ),
    (
        "3 order of a node that is not there",
        lambda: with_graph(after={9: (0,)}),
        "an order edge doesn't lead from an earlier node",
    ),
    (
        "3 order of a negative node",
        lambda: with_graph(after={-1: (0,)}),
        "an order edge doesn't lead from an earlier node",
    ),
    ("4 too few bindings", lambda: with_rows([[[INPUT, 0]]], 1), "2 bindings were expected"),
    ("4 too many bindings", lambda: with_rows([[[INPUT, 0], -1, -1]], 1), "2 bindings were expected"),
    ("4 no list of bindings", lambda: with_rows([3], 1), "2 bindings were expected"),
    ("4 a parameter not bound", lambda: with_binding(0, 0, None), "parameter x is not bound and has no default"),
    (
        "4 a default inside a part",
        lambda: with_binding(3, 0, [ARM, 1, [LIST, [None]]]),
        "only a parameter can take a default",
    ),
    (
        "4 an output not bound",
        lambda: with_graph(outputs=(Output("result", type_of(int), None),)),
        "only a parameter can take a default",
    ),
    ("5 another type", lambda: with_binding(5, 0, 2), "int is wanted, str is given"),
    (
        "5 another type of input",
        lambda: with_graph(inputs=(replace(GRAPH.inputs[0], type=type_of(str)),)),
        "int is wanted, str is given",
    ),
    (
        "5 another type of output",
        lambda: with_graph(outputs=(replace(GRAPH.outputs[0], type=type_of(str)),)),
        "str is wanted, int is given",
    ),
    (
        "5 another type in a part",
        lambda: with_binding(4, 0, [DICT, [["k", [TUPLE, [0, 2]]]]]),
        "int is wanted, str is given",
    ),
    ("5 a list for a dict", lambda: with_binding(4, 0, [LIST, []]), "a binding of code 2 can't give dict"),
    (
        "5 a tuple of another length",
        lambda: with_binding(4, 0, [DICT, [["k", [TUPLE, [0]]]]]),
        "can't give tuple[int, int]",
    ),
    ("5 a record for an int", lambda: with_binding(0, 0, [RECORD, None, []]), "can't give int"),
    ("5 an arm of what is no union", lambda: with_binding(0, 0, [ARM, 0, 0]), "can't give int"),
    ("5 a key of another type", lambda: with_binding(4, 0, [DICT, [[3, [TUPLE, [0, 0]]]]]), "key"),
    ("6 an unknown literal", lambda: with_binding(0, 0, -99), "literal 98 does not exist"),
    ("6 an unknown input", lambda: with_binding(0, 0, [INPUT, 1]), "input 1 does not exist"),
    ("6 a negative input", lambda: with_binding(0, 0, [INPUT, -1]), "-1 is no position"),
    ("6 an unknown arm", lambda: with_binding(3, 0, [ARM, 2, 0]), "parameter x"),
    ("6 a negative arm", lambda: with_binding(3, 0, [ARM, -1, [LIST, []]]), "arm -1 does not exist"),
    ("6 a path that leads nowhere", lambda: with_binding(5, 0, [NODE, 0, [0]]), "the path [0] leads nowhere"),
    ("6 a negative node", lambda: with_binding(5, 0, [NODE, -1, [0]]), "-1 is no position"),
    ("6 a code that is not known", lambda: with_binding(0, 0, [9, 0]), "node 0"),
    ("6 no code at all", lambda: with_binding(0, 0, []), "node 0"),
    ("6 a text", lambda: with_binding(0, 0, "x"), "node 0"),
    ("6 a bool", lambda: with_binding(0, 0, True), "node 0"),
    ("6 too few literals", lambda: replace(PLAN, literals=PLAN.literals[:-1]), "the plan brings"),
    ("6 too many literals", lambda: replace(PLAN, literals=(*PLAN.literals, b"\1")), "the plan brings"),
    ("7 two inputs of one name", lambda: with_graph(inputs=GRAPH.inputs * 2), "input of flow 'x' is there twice"),
    (
        "7 an input without name",
        lambda: with_graph(inputs=(replace(GRAPH.inputs[0], name=""),)),
        "a input of flow has no name",
    ),
    (
        "7 two outputs of one name",
        lambda: with_graph(outputs=GRAPH.outputs * 2),
        "output of flow 'result' is there twice",
    ),
    (
        "7 two nodes of one name",
        lambda: with_graph(overrides={0: {"name": "a"}, 1: {"name": "a"}}),
        "node of flow 'a' is there twice",
    ),
    ("7 a name that is no text", lambda: with_graph(overrides={0: {"name": 3}}), "unknown overrides"),
    ("7 an unknown override", lambda: with_graph(overrides={0: {"name": "a", "colour": 1}}), "unknown overrides"),
    ("7 an override of no node", lambda: with_graph(overrides={9: {"name": "a"}}), "unknown overrides"),
    (
        "7 two parameters of one name",
        lambda: with_callee(0, interface=replace(INC.interface, parameters=(PARAMETER, PARAMETER))),
        "is there twice",
    ),
    ("8 no digest", lambda: with_callee(0, digest=b""), "has an identity of 0 bytes"),
    ("8 a digest of another length", lambda: with_callee(0, digest=b"x" * 20), "has an identity of 20 bytes"),
]


@pytest.mark.parametrize(("build", "problem"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_plan_that_breaks_an_invariant_is_refused(build, problem):
    with pytest.raises(PlanError) as caught:
        build().verify()
    assert problem in caught.value.message


@pytest.mark.parametrize(
    "binding",
    [
        pytest.param([INPUT, 0, []], id="an input with an empty path"),
        pytest.param([INPUT, 0, [], 7], id="an input with something behind it"),
        pytest.param([NODE, 0, []], id="a node with an empty path"),
        pytest.param([NODE, 0], id="a node without a path"),
    ],
)
def test_a_binding_has_one_spelling(binding):
    with pytest.raises(PlanError):
        with_binding(5, 0, binding).verify()


def test_8_a_token_of_sixteen_bytes_is_an_identity():
    with_callee(0, digest=b"x" * 16).verify()


def test_1_a_nested_graph_has_at_most_one_output():
    output = PLAN.shape.graphs[1].outputs[0]
    with pytest.raises(PlanError, match="node 1: a nested graph has more than one output"):
        with_graph(1, outputs=(output, replace(output, name="second"))).verify()


def test_the_message_names_graph_and_node():
    with pytest.raises(PlanError) as caught:
        with_binding(5, 0, 2).verify()
    assert caught.value.message.startswith("graph 0 ('flow'), node 5: ")
