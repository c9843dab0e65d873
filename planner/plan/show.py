"""A plan as text: one line a node, types at the definition, nested plans hoisted and printed once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from promissory.planner.plan.interfaces import result_type, target_interface
from promissory.planner.plan.model import (
    DICT,
    ERROR,
    INPUT,
    LIST,
    NODE,
    RECORD,
    TUPLE,
    Binding,
    Callee,
    Graph,
    Large,
    Parameter,
)
from promissory.planner.plan.names import node_names
from promissory.planner.plan.plan import Plan
from promissory.planner.plan.policy import overridden
from promissory.planner.plan.policy_text import policy_terms
from promissory.planner.plan.specs import Branch, Condition, Earlier, Gate, Map, Merge, Rescue, Spec
from promissory.typesys.as_json import to_json
from promissory.typesys.buffer import Buffer
from promissory.typesys.canonical import unpack
from promissory.typesys.errors import FormatError
from promissory.typesys.families import registry
from promissory.typesys.long_lists import LongList
from promissory.typesys.transcode import is_whole
from promissory.typesys.type_format import type_from_bytes
from promissory.typesys.types import (
    ANY,
    AnyType,
    BufferType,
    BytesType,
    DictType,
    EnumType,
    ListType,
    NamedType,
    RecordType,
    TupleType,
    Type,
    UnionType,
    VarTupleType,
    short_name,
    walk,
)

_LONGEST = 60


def show(plan: Plan, code: bool = False) -> str:
    """Print the whole plan, graph by graph; with `code`, also where each callable is found, and its code's digest.

    >>> from promissory import task, workflow
    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> @workflow
    ... def wf(x: int = 1) -> list[int]:
    ...     return [inc(x), x]
    >>> print(wf.compile().show())
    plan wf(x: int = 1) -> list[int]
      inc : int = task inc(x=x)
      return [inc, x]
    """
    parts = [_graph(plan, number) for number in range(len(plan.shape.graphs))]
    if code and plan.shape.callees:
        width = max(len(callee.name) for callee in plan.shape.callees)
        rows = [f"  {callee.name:<{width}} {callee.digest.hex()[:16]}" for callee in plan.shape.callees]
        parts.append("\n".join(["code", *rows]))
    return "\n\n".join(parts)


def _graph(plan: Plan, number: int) -> str:
    graph = plan.shape.graphs[number]
    names = node_names(plan.shape, number)
    width = max(map(len, names), default=0)
    lines = [f"plan {graph.name}({', '.join(map(_input, graph.inputs))}) -> {_outputs(graph)}"]
    for index, name in enumerate(names):
        interface = target_interface(plan.shape, graph, index)
        spec = graph.specs.get(index)
        texts = [
            None if binding is None else binding_text(plan, number, names, binding, parameter.type)
            for parameter, binding in zip(interface.parameters, graph.bindings_of(index), strict=True)
        ]
        if isinstance(spec, Branch):
            said = f"branch({_arms(plan, spec, [text or '…' for text in texts])})"
        elif isinstance(spec, Rescue):
            taken = ", ".join(
                p.name + "=" + ("error" if at < 0 else texts[at] or "…")
                for at, p in zip(spec.takes, plan.shape.graphs[spec.graph].inputs, strict=True)
            )
            said = f"{texts[0]} or plan {plan.shape.graphs[spec.graph].name}({taken})"
        elif isinstance(spec, Merge):
            said = f"first of ({', '.join(text or '…' for text in texts)})"
        elif isinstance(spec, Earlier):
            said = f"earlier {spec.name}, {spec.distance} back" if spec.distance else f"the latest {spec.name}"
        else:
            mapped, flat = (spec.mapped, spec.flat) if isinstance(spec, Map) else ((), ())
            arguments = [
                f"{parameter.name}={text}{'[*][*]' if at in flat else '[*]' if at in mapped else ''}"
                for at, (parameter, text) in enumerate(zip(interface.parameters, texts, strict=True))
                if text is not None
            ]
            said = f"{_called(plan, graph, index, spec)}({', '.join(arguments)})"
        terms = _terms(plan.shape.callees, graph, index, names, spec)
        lines.append(f"  {name:<{width}} : {interface.result} = {said}{terms}")
    for output in graph.outputs:
        label = "" if output.name == "result" else f"{output.name} = "
        lines.append(f"  return {label}{binding_text(plan, number, names, output.binding, output.type)}")
    return "\n".join(lines)


def _called(plan: Plan, graph: Graph, index: int, spec: Spec | None) -> str:
    """Print a node's call."""
    if isinstance(spec, Gate):
        return {"sleep": "sleep", "input": "wait_for_input", "approve": "approve"}[spec.what]
    target = graph.targets[index]
    if graph.calls(index):
        callee = plan.shape.callees[target]
        called = f"{callee.kind} {callee.short_name}"
    else:
        called = f"plan {plan.shape.graphs[target].name}"
    return f"map {called}" if isinstance(spec, Map) else called


def _terms(callees: tuple[Callee, ...], graph: Graph, index: int, names: list[str], spec: Spec | None) -> str:
    """Print the terms on which a node runs, behind its call."""
    terms = []
    after = graph.after.get(index)
    if after:
        terms.append(f"after {', '.join(names[one] for one in after)}")
    entries = graph.overrides.get(index, {})
    if "trigger" in entries:
        terms.append(f"when {entries['trigger']}")
    if "standby" in entries:
        terms.append("on standby")
    if graph.on_failure == index:
        terms.append("on failure")
    if "held" in entries:
        terms.append("held")
    if isinstance(spec, Map) and spec.shortest:
        terms.append("to the end of the shortest")
    if isinstance(spec, Map) and spec.concurrency is not None:
        terms.append(f"{spec.concurrency} at a time")
    if isinstance(spec, Map) and spec.min_success_ratio < 1:
        terms.append(f"{spec.min_success_ratio:g} of them at least")
    if isinstance(spec, Gate) and spec.timeout is not None:
        terms.append(f"within {spec.timeout:g} s")
    if graph.calls(index):
        terms += policy_terms(overridden(callees[graph.targets[index]].policy, dict(entries)))
    return "".join(f" {term}" for term in terms)


def _arms(plan: Plan, spec: Branch, inputs: list[str]) -> str:
    said = []
    for arm in spec.arms:
        when = "else" if arm.condition is None else condition_text(arm.condition, inputs)
        if arm.graph is None:
            what = f"fail {arm.message!r}"
        else:
            graph = plan.shape.graphs[arm.graph]
            given = ", ".join(f"{p.name}={inputs[at]}" for at, p in zip(arm.takes, graph.inputs, strict=True))
            what = f"plan {graph.name}({given})"
        said.append(f"{when}: {what}")
    return ", ".join(said)


def condition_text(condition: Condition, inputs: list[str]) -> str:
    """Print a condition as its author wrote it.

    >>> condition_text(["&", [">", 0, 1], ["~", ["is true", 2]]], ["n", "3", "done"])
    '(n > 3) & ~(done is true)'
    """
    if condition.__class__ is int:
        return inputs[condition]
    operator, *rest = condition
    inner = [condition_text(one, inputs) for one in rest]
    inner = [
        f"({text})" if one.__class__ is list and (one[0] != "~" or operator == "~") else text
        for one, text in zip(rest, inner, strict=True)
    ]
    if operator == "~":
        return f"~{inner[0]}"
    return f"{inner[0]} {operator}" if len(inner) == 1 else f"{inner[0]} {operator} {inner[1]}"


def _input(parameter: Parameter) -> str:
    default = "" if parameter.default is None else f" = {value_text(parameter.default, parameter.type)}"
    return f"{parameter.name}: {parameter.type}{default}"


def _outputs(graph: Graph) -> str:
    if len(graph.outputs) <= 1:
        return str(result_type(graph))
    return "(" + ", ".join(f"{output.name}: {output.type}" for output in graph.outputs) + ")"


def value_text(data: bytes, type: Type) -> str:
    """Print a value as its reader knows it, shortened.

    >>> from promissory.typesys import codec_of, type_of
    >>> value_text(codec_of(list[str]).encode(["a"]), type_of(list[str]))
    "['a']"
    """
    try:
        text = tree_text(unpack(data), type)
    except (FormatError, TypeError, ValueError, IndexError, LookupError, RecursionError):
        text = f"<{len(data)} bytes>"
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def tree_text(tree: Any, type: Type) -> str:
    """Print the wire tree of a value, as Python would write the value."""
    if isinstance(tree, LongList):
        return f"<list of {len(tree):,} items>"
    match type:
        case UnionType(arms):
            return tree_text(tree[1], arms[tree[0]])
        case ListType(item):
            return f"[{', '.join(tree_text(one, item) for one in tree[:20])}{', …' if len(tree) > 20 else ''}]"
        case TupleType(items):
            return _tuple_text([tree_text(one, item) for one, item in zip(tree, items, strict=True)])
        case VarTupleType(item):
            return _tuple_text([tree_text(one, item) for one in tree[:20]] + ["…"] * (len(tree) > 20))
        case DictType(key, value):
            return f"{{{', '.join(f'{tree_text(k, key)}: {tree_text(v, value)}' for k, v in tree[:20])}}}"
        case RecordType(kind="typeddict"):
            return repr(to_json(tree, type))
        case RecordType(fields=fields) if len(tree) > len(fields) and is_whole(tree[-1]):
            _, name, names, trees, *_ = tree[-1]
            derived = (f"{field}={tree_text(one, ANY)}" for field, one in zip(names, trees, strict=True))
            return f"{short_name(name)}({', '.join(derived)})"
        case RecordType(fields=fields):
            inner = (f"{f.name}={tree_text(one, f.type)}" for one, f in zip(tree, fields, strict=False))
            return f"{type}({', '.join(inner)})"
        case EnumType():
            return f"{type}.{tree}"
        case NamedType(wire=wire) if any(isinstance(inner, BufferType | AnyType) for inner in walk(wire)):
            return f"<{type}>"
        case BytesType() if tree.__class__ is Buffer:
            return f"<{tree.size} bytes>"
        case NamedType(name):
            family = registry.known(name)
            if family is not None and family.to_json is not None:
                return f"{type}({family.to_json(family.from_wire(tree))!r})"
            return f"{type}({tree!r})"
    return repr(to_json(tree, type)) if not isinstance(tree, bytes) else repr(tree)


def _tuple_text(items: list[str]) -> str:
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def _path(path: list[Any]) -> str:
    return "".join(f".{s}" if isinstance(s, str) else f"[{s[0]!r}]" if isinstance(s, list) else f"[{s}]" for s in path)


def binding_text(plan: Plan, graph: int, names: list[str], binding: Binding, type: Type) -> str:
    """Print a binding as the author would have written it, shortened."""
    text = _text(
        binding, type, names, plan.shape.graphs[graph].inputs, lambda index, wanted: _literal(plan, index, wanted)
    )
    return text if len(text) <= 2 * _LONGEST else text[: 2 * _LONGEST - 1] + "…"


def _literal(plan: Plan, index: int, type: Type) -> str:
    value = plan.literals[index]
    if isinstance(value, Large) and value.digest not in plan.blobs:
        return f"<{value.size} bytes {value.digest.hex()[:8]}>"
    return value_text(plan.literal(index), type)


def _text(
    binding: Binding, type: Type, names: list[str], inputs: tuple[Parameter, ...], literal: Callable[[int, Type], str]
) -> str:
    if binding is None:
        return "…"
    if binding.__class__ is int:
        return names[binding] if binding >= 0 else literal(-1 - binding, type)
    code = binding[0]
    if code == ERROR:
        return "error"
    if code in (INPUT, NODE):
        name = names[binding[1]] if code == NODE else inputs[binding[1]].name
        return f"{name}{_path(binding[2]) if len(binding) == 3 else ''}"

    def inner(one: Binding, wanted: Type) -> str:
        return _text(one, wanted, names, inputs, literal)

    if code in (LIST, TUPLE):
        types = list(type.items) if isinstance(type, TupleType) else [getattr(type, "item", ANY)] * len(binding[1])
        items = ", ".join(inner(one, wanted) for one, wanted in zip(binding[1], types, strict=True))
        if code == LIST:
            return f"[{items}]"
        return f"({items},)" if len(binding[1]) == 1 else f"({items})"
    if code == DICT:
        value = type.value if isinstance(type, DictType) else ANY
        return "{" + ", ".join(f"{key!r}: {inner(one, value)}" for key, one in binding[1]) + "}"
    if code == RECORD:
        record = type_from_bytes(binding[1]) if binding[1] else type
        assert isinstance(record, RecordType)
        fields = []
        for f, part, one in zip(record.fields, record.parts, binding[2], strict=True):
            if part is f.type:
                fields.append(f"{f.name}={inner(one, part)}")
            else:  # a key that may be missing is a tuple of none or one
                fields += [f"{f.name}={inner(held, f.type)}" for held in one[1]]
        return f"{record}({', '.join(fields)})"
    assert isinstance(type, UnionType)
    return inner(binding[2], type.arms[binding[1]])
