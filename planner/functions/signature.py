"""Signature → typed inputs and outputs.

This module owns the reading of a function's signature: its `Interface` (data, for the plan) and a `Codec` for each
parameter and the result (for tracing and workers). It knows nothing of traces.
"""

from __future__ import annotations

import inspect
import os
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Union

from promissory.planner.body.context import Context
from promissory.planner.body.cycle import Cycle
from promissory.planner.errors import ArgumentValueError, DecorationError, Where, WrongCall, warn
from promissory.planner.functions.models import take_promises
from promissory.planner.functions.returns import gives_nothing
from promissory.planner.functions.shapes import as_named, meant_by_container, named_tuple_of, taking_plain_tuples
from promissory.planner.plan.model import Interface, Parameter
from promissory.typesys.errors import (
    AnnotationError,
    OpaqueWarning,
    TypeMismatch,
    UncachedContentWarning,
    UntypedWarning,
)
from promissory.typesys.infer import Inference
from promissory.typesys.types import NamedType, walk
from promissory.typesys.wire import Codec, checking, codec_for

MISSING: Final = object()
"""Stands in the place of an argument that a call left to its default."""

_KINDS: dict[Any, Literal["positional", "both", "keyword"]] = {
    inspect.Parameter.POSITIONAL_ONLY: "positional",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "both",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
}


def is_strict(asked: bool | None) -> bool:
    """Tell whether untyped and opaque parameters are errors: the decorator decides, else `PROMISSORY_STRICT`."""
    return os.environ.get("PROMISSORY_STRICT", "") not in ("", "0") if asked is None else asked


@dataclass(frozen=True, slots=True)
class Signature:
    """A function's typed inputs and result."""

    name: str
    interface: Interface
    codecs: tuple[Codec, ...]
    result: Codec
    names: tuple[str, ...]
    positional: int
    plain: bool
    bind: Callable[..., list[Any]]
    context: bool = False
    named: type[Any] | None = None
    takes_cycle: bool = False
    inputs: tuple[Parameter, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Note the inputs of a plan made of the function: its parameters, all to be given by name."""
        object.__setattr__(self, "inputs", tuple([replace(one, kind="both") for one in self.interface.parameters]))

    def shaped(self, result: Any) -> Any:
        """Give a result as it was declared: a plain tuple as the NamedTuple of that shape (rule A10)."""
        return result if self.named is None else as_named(self.named, result)

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """Put the arguments of a call in the order of the parameters, `MISSING` where the default is meant.

        Raises `WrongCall`, a `TypeError` in Python's own words.
        """
        if self.plain and not args and len(kwargs) == len(self.names):
            try:
                return [kwargs[name] for name in self.names]
            except KeyError:
                pass
        try:
            return self.bind(*args, **kwargs)
        except TypeError as error:
            raise WrongCall(str(error)) from None

    def can_be_called_with(self, inputs: Mapping[str, Any]) -> bool:
        """Tell whether these inputs are enough."""
        try:
            self.arguments((), dict(inputs))
        except WrongCall:
            return False
        return True

    def defaults(self) -> dict[str, Any]:
        """Give a fresh copy of each default, by name."""
        pairs = zip(self.interface.parameters, self.codecs, strict=True)
        return {p.name: codec.decode(p.default) for p, codec in pairs if p.default is not None}


def binder(name: str, parameters: tuple[Parameter, ...]) -> Callable[..., list[Any]]:
    """Make a function with these parameters that gives the arguments it was called with, `MISSING` for a default.

    So Python itself refuses a wrong call, in the words of the version that runs.

    >>> from promissory import type_of
    >>> binder("f", (Parameter("a", type_of(int)),))(b=1)
    Traceback (most recent call last):
        ...
    TypeError: f() got an unexpected keyword argument 'b'
    """
    listed: list[str] = []
    for position, parameter in enumerate(parameters):
        if parameter.kind == "keyword" and (position == 0 or parameters[position - 1].kind != "keyword"):
            listed.append("*")
        listed.append(parameter.name if parameter.default is None else f"{parameter.name}=MISSING")
        last_positional = position + 1 == len(parameters) or parameters[position + 1].kind != "positional"
        if parameter.kind == "positional" and last_positional:
            listed.append("/")
    source = f"def bind({', '.join(listed)}): return [{', '.join(p.name for p in parameters)}]"
    namespace: dict[str, Any] = {"MISSING": MISSING}
    exec(source, namespace)
    bind: Callable[..., list[Any]] = namespace["bind"]
    bind.__qualname__ = name
    return bind


def read_signature(
    function: Callable[..., Any], kind: str, namespace: Mapping[str, Any], strict: bool, may_give_none: bool = False
) -> Signature:
    """Read the typed inputs and result of a function.

    Args:
        function: a plain or async function.
        kind: "task", "workflow", "dynamic" or "cycle", for messages.
        namespace: names that the annotations may use beyond the globals (locals of the place where the function was
            defined).
        strict: refuse missing annotations and unknown classes instead of warning.
        may_give_none: whether the result is None beside what the annotation says.

    Raises:
        NameError: an annotation mentions a name that does not exist yet.
        DecorationError: the function can't be typed; the message says what to write.
    """
    name, where = function.__name__, Where(function.__code__.co_filename, function.__code__.co_firstlineno)
    hints = _hints(function, namespace, where)
    inference = Inference()
    parameters, codecs, untyped = [], [], []
    listed = list(inspect.signature(function).parameters.values())
    context = _takes_context(listed, hints, kind, name, where)
    takes_cycle = kind == "cycle" and bool(listed) and hints.get(listed[0].name) is Cycle
    elsewhere = [one.name for one in listed[int(takes_cycle) :] if hints.get(one.name) is Cycle]
    if elsewhere:
        raise DecorationError(
            f"{name} takes a Cycle as {elsewhere[0]}",
            where=where,
            way_out="the round is the first parameter of a @cycle, and of nothing else: pass on c.number or c.point",
        )
    for parameter in listed[context + takes_cycle :]:
        if parameter.name not in hints:
            untyped.append(parameter.name)
        known = len(inference.unknown)
        type = _infer(inference, hints.get(parameter.name, Any), f"{name}({parameter.name})", where)
        if len(inference.unknown) > known:
            _opaque(f"{name}({parameter.name})", inference.unknown[known], where, strict)
        codec = codec_for(type, inference.classes)
        if inference.protocols:
            codec = checking(codec, hints[parameter.name])
            inference.protocols.clear()
        default = None
        if parameter.default is not inspect.Parameter.empty:
            default = _encode_default(codec, parameter.default, f"{name}({parameter.name})", where)
        parameters.append(Parameter(parameter.name, type, default, _KINDS[parameter.kind]))
        codecs.append(codec)
    if "return" not in hints:
        if gives_nothing(function):
            hints["return"] = None
        else:
            untyped.append("return")
    if may_give_none and hints.get("return") is not None:
        declared = hints["return"]
        hints["return"] = Union[declared, None]  # noqa: UP007 — `|` is not there for every annotation
    known = len(inference.unknown)
    result = _infer(inference, hints.get("return", Any), f"the result of {name}", where)
    if len(inference.unknown) > known:
        _opaque(f"the result of {name}()", inference.unknown[known], where, strict)
    if untyped:
        _untyped(kind, name, untyped, where, strict)
    names = tuple(p.name for p in parameters)
    positional = sum(p.kind != "keyword" for p in parameters)
    plain = all(p.kind != "positional" for p in parameters)
    interface = Interface(tuple(parameters), result)
    bind = binder(function.__qualname__, interface.parameters)
    result_codec = codec_for(result, inference.classes)
    if inference.protocols:
        result_codec = checking(result_codec, hints["return"])
    take_promises(inference.classes.values())
    named = named_tuple_of(hints.get("return"))
    if named is not None:
        result_codec = taking_plain_tuples(result_codec, named)
    return Signature(
        name, interface, tuple(codecs), result_codec, names, positional, plain, bind, context, named, takes_cycle
    )


def _hints(function: Callable[..., Any], namespace: Mapping[str, Any], where: Where) -> dict[str, Any]:
    """Resolve a function's annotations.

    Raises `NameError`, and `DecorationError` for an annotation that is a container of types and no type.
    """
    try:
        hints = typing.get_type_hints(function, localns=dict(namespace), include_extras=True)
    except TypeError:
        # `typing` refuses text that stands for a tuple of types, in words that do not help.
        written = inspect.get_annotations(function)
        texts = {name: hint for name, hint in written.items() if isinstance(hint, str)}
        scope = {**function.__globals__, **namespace}
        hints = {name: eval(text, scope) for name, text in texts.items()}
        _refuse_containers(function, {**written, **hints}, where)
        raise
    _refuse_containers(function, hints, where)
    return hints


def _refuse_containers(function: Callable[..., Any], hints: Mapping[str, Any], where: Where) -> None:
    for name, hint in hints.items():
        meant = meant_by_container(hint)
        if meant is not None:
            what = "the result of " + function.__name__ if name == "return" else f"{function.__name__}({name})"
            raise DecorationError(
                f"{what} is annotated with a {type(hint).__name__}, and that is a value, not a type",
                where=where,
                way_out=f"write {meant}",
            )


def _takes_context(
    parameters: list[inspect.Parameter], hints: Mapping[str, Any], kind: str, name: str, where: Where
) -> bool:
    """Tell whether the run gives the first parameter."""
    asked = [position for position, parameter in enumerate(parameters) if hints.get(parameter.name) is Context]
    if not asked:
        return False
    if asked != [0]:
        raise DecorationError(
            f"{name} takes its Context as another than the first parameter",
            where=where,
            way_out="put it first: the run gives it",
        )
    if kind in ("workflow", "cycle"):
        raise DecorationError(
            f"the {kind} {name} takes a Context, and there is no run while its body is traced",
            where=where,
            way_out="take it in a task, or in a @dynamic",
        )
    return True


def _infer(inference: Inference, annotation: Any, what: str, where: Where) -> Any:
    try:
        return inference.infer(annotation)
    except AnnotationError as error:
        raise DecorationError(f"{what}: {error}", where=where) from None


def _encode_default(codec: Codec, default: Any, what: str, where: Where) -> bytes:
    try:
        return codec.encode(default)
    except TypeMismatch as mismatch:
        if default is None:
            raise ArgumentValueError(
                f"{what} has the default None, but is annotated {codec.type}",
                where=where,
                way_out=f"annotate it {codec.type} | None",
            ) from None
        raise ArgumentValueError(f"the default of {what}: {mismatch.at('default')}", where=where) from None


def _untyped(kind: str, name: str, untyped: list[str], where: Where, strict: bool) -> None:
    parameters = [one for one in untyped if one != "return"]
    said = [f"parameter{'s' * (len(parameters) > 1)} {', '.join(parameters)}"] if parameters else []
    said += ["the result"] if "return" in untyped else []
    message = f"{kind} {name}: {' and '.join(said)} {'have' if len(untyped) > 1 else 'has'} no annotation"
    if strict:
        raise DecorationError(message, where=where, way_out="annotate them (`Any` if you mean it)")
    warn(f"{message} and will be Any: nothing is checked there", UntypedWarning, where)


def warn_of_paths(function: Callable[..., Any], signature: Signature) -> None:
    """Warn of the paths among the inputs of a cached task: the path is remembered, and not what lies there."""
    for parameter in signature.interface.parameters:
        if any(isinstance(one, NamedType) and one.name in _PATHS for one in walk(parameter.type)):
            code = function.__code__
            warn(
                f"{signature.name}({parameter.name}) is a path, and the cache knows it by its text: when the file "
                "changes, the old result is taken. Take a File, which is known by its content (or a str, if it is "
                "only a name)",
                UncachedContentWarning,
                Where(code.co_filename, code.co_firstlineno),
            )


_PATHS: Final = frozenset(("pathlib.Path", "pathlib.PurePath"))


def _opaque(what: str, annotation: Any, where: Where, strict: bool) -> None:
    said = annotation.__qualname__ if isinstance(annotation, type) else str(annotation)
    message = f"{what} is a {said}, which has no wire form of its own and travels as a pickle"
    if strict:
        raise DecorationError(
            message, where=where, way_out=f"make it a dataclass, or say Opaque[{said}] if you mean it"
        )
    warn(
        f"{message}: not readable elsewhere, not cached by value (say Opaque[{said}] if you mean it)",
        OpaqueWarning,
        where,
    )
