"""Values that are passed to a call become bindings: promises by reference, everything else as a literal.

The type of every edge is checked here (rule P3). The sentence that a user reads when a type does not fit is written
here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from promissory.planner.errors import ArgumentValueError, CompileError, EdgeTypeError, Where
from promissory.planner.functions.signature import MISSING, Signature
from promissory.planner.plan.model import ARM, DICT, INPUT, LIST, RECORD, TUPLE, Binding
from promissory.planner.tracing.expression import Expression
from promissory.planner.tracing.promise import MARKER, Promise
from promissory.typesys.assignability import why_not
from promissory.typesys.buffer import NAMES_ONLY, Pending
from promissory.typesys.canonical import pack
from promissory.typesys.depth import TOO_DEEP, check_depth, too_deep
from promissory.typesys.errors import AnnotationError, TypeMismatch
from promissory.typesys.infer import Inference
from promissory.typesys.ledger import LEDGER
from promissory.typesys.names import qualified_name
from promissory.typesys.records import field_names, is_record, reader
from promissory.typesys.scalars import said
from promissory.typesys.secret import INSTEAD, revealed_in
from promissory.typesys.type_format import type_bytes
from promissory.typesys.types import (
    ANY,
    AnyType,
    DictType,
    ListType,
    OpaqueType,
    RecordType,
    TupleType,
    Type,
    UnionType,
    VarTupleType,
    class_name,
    walk,
)
from promissory.typesys.wire import Codec, codec_for

if TYPE_CHECKING:
    from promissory.planner.tracing.trace import Trace

_MARKER_BYTES = MARKER.encode()
_FIT = "pass what is wanted, convert it in a task, or change the annotation"
_IMMUTABLE = frozenset((str, bytes, int, float))
_SMALL = 32
"""An input that is passed on is written as a literal up to this many bytes, and above them by reference (rule D7)."""


class _DoesNotFit(Exception):
    """A value can't be bound. Its fields say why, and to which part of the value the reason refers."""

    def __init__(self, wanted: Type, given: str, reason: str | None, path: str = "") -> None:
        super().__init__(given)
        self.wanted, self.given, self.reason, self.path = wanted, given, reason, path


@lru_cache(1024)
def _codec(type: Type) -> Codec:
    return codec_for(type)


@lru_cache(1024)
def _may_hide_promises(type: Type) -> bool:
    """Tell whether the encoder of a type would try to pickle a promise instead of refusing it.

    Values of such types are searched for promises before they are encoded.
    """
    return any(isinstance(inner, AnyType | OpaqueType) for inner in walk(type))


def refuse_what_no_plan_may_hold(data: bytes) -> None:
    """Raise `ArgumentValueError` if the bytes of a literal hold a text that was made of a promise, or the value of a
    secret."""
    if _MARKER_BYTES in data:
        raise ArgumentValueError(
            "a text was made of a promise, whose value is not there before the run", way_out="build the text in a task"
        )
    if secret := revealed_in(data):
        raise ArgumentValueError(
            f"a value that is stored with the plan holds the value of Secret({secret!r})", way_out=INSTEAD
        )


class Binder:
    """A binder makes the bindings of one trace."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._passed_on: dict[int, tuple[int, Any, bytes, Type]] = {}

    def remember_inputs(self, values: Sequence[Any], encoded: Sequence[bytes]) -> None:
        """Note the materialised inputs of a dynamic, so that an input which is passed on is bound by reference."""
        first: dict[tuple[bytes, Type], int] = {}
        for index, (value, data) in enumerate(zip(values, encoded, strict=True)):
            if len(data) > _SMALL:
                type = self._trace.inputs[index].type
                # Inputs with equal bytes and types share one number, whether they are one object or two.
                same = first.setdefault((data, type), index)
                self._passed_on[id(value)] = (same, value, data, type)

    def knows_as(self, other: Binder) -> None:
        """Know the materialised inputs that another binder of the same dynamic knows."""
        self._passed_on = other._passed_on

    def call(self, signature: Signature, values: list[Any], where: Where | None) -> list[Binding]:
        """Make the bindings of a call's arguments, in the order of the parameters."""
        bindings: list[Binding] = []
        for parameter, codec, value in zip(signature.interface.parameters, signature.codecs, values, strict=True):
            if (
                value.__class__ is Promise
                and value._promissory_type is parameter.type
                and value._promissory_trace is self._trace
            ):
                bindings.append(value._promissory_binding)
            elif value is MISSING:
                bindings.append(None)
            else:
                bindings.append(self.bind(value, parameter.type, f"{signature.name}({parameter.name}=…)", where, codec))
        return bindings

    def bind(self, value: Any, type: Type, said: str, where: Where | None, codec: Codec | None = None) -> Binding:
        """Make the binding of one value. A problem is reported, and the value is then bound as the default would be."""
        uses = len(self._trace.uses_of_choices)
        try:
            bound = self._bind(value, type, codec or _codec(type))
            if bound.__class__ is list and not isinstance(value, Promise):
                check_depth(value)
            for use in self._trace.uses_of_choices[uses:]:
                use.said, use.where = said, where
            return bound
        except _DoesNotFit as misfit:
            at = f" (at {misfit.path})" if misfit.path else ""
            detail = (
                f": {misfit.reason}"
                if misfit.reason and misfit.reason != f"{misfit.given} is not {misfit.wanted}"
                else ""
            )
            way_out = (
                "close it with .else_().then(…): without it the value may be None"
                if hasattr(value.__class__, "else_")
                else _FIT
            )
            self._trace.problem(
                EdgeTypeError(
                    f"{said}{at} wants {misfit.wanted}, but {misfit.given}{detail}", where=where, way_out=way_out
                )
            )
        except TypeMismatch as mismatch:
            if "written down" in mismatch.problem or mismatch.problem == TOO_DEEP:
                self._trace.problem(
                    ArgumentValueError(f"{said}: {mismatch.at('the value')}", where=where, way_out="pass plain data")
                )
            else:
                at = f" (at {mismatch.path})" if mismatch.path else ""
                self._trace.problem(EdgeTypeError(f"{said}{at}: {mismatch.problem}", where=where, way_out=_FIT))
        except RecursionError:
            self._trace.problem(
                ArgumentValueError(f"{said}: {too_deep(value).at('the value')}", where=where, way_out="pass plain data")
            )
        except CompileError as error:
            error.where = error.where or where
            if error not in self._trace.fatal:
                self._trace.problem(error)
        return None

    def _bind(self, value: Any, type: Type, codec: Codec) -> Binding:
        if isinstance(value, Promise):
            binding = self._trace.binding_of(value)
            reason = why_not(value._promissory_type, type)
            if reason is not None:
                verb = "is" if value._node() is None else "gives"
                plain = f"{value._promissory_type} is not {type}"
                raise _DoesNotFit(
                    type, f"{value._said()} {verb} {value._promissory_type}", None if reason == plain else reason
                )
            if value.__class__ is not Promise:
                self._trace.note_use_of_choice(value, type)
            return binding
        if isinstance(value, Expression):
            raise ArgumentValueError(
                f"the condition {value!r} is not a value that a task can take", way_out="compare in a task"
            )
        known = self.passed_on(value)
        if known is not None and why_not(known[1], type) is None:
            return known[0]
        if _may_hide_promises(type) and holds_promise(value):
            return self._composite(value, type)
        try:
            large = Pending()
            data = codec.encode(value, large)
        except TypeMismatch:
            if holds_promise(value):
                return self._composite(value, type)
            raise
        for one in (data, *(buffer.content() for buffer in large.buffers)):
            if _MARKER_BYTES in one or LEDGER.heard or LEDGER.tells[0]:
                refuse_what_no_plan_may_hold(one)
        for buffer in large.buffers:
            self._trace.session.take_part(buffer)
        return self._trace.session.literal(data)

    def passed_on(self, value: Any) -> tuple[Binding, Type] | None:
        """Refer to a value that is an unchanged input of the dynamic: its binding and its type.

        Other values give None.
        """
        known = self._passed_on.get(id(value))
        if known is not None:
            return ([INPUT, known[0]], known[3]) if self._is_unchanged(value, known[2], known[3]) else None
        outer = self._trace.outer
        found = None if outer is None else outer.binder.passed_on(value)
        return None if found is None else (self._trace.capture(*found), found[1])

    def _is_unchanged(self, value: Any, data: bytes, type: Type) -> bool:
        """Tell whether an input is as it was when the body began. A body may have changed a mutable input."""
        return value.__class__ in _IMMUTABLE or _codec(type).encode(value, NAMES_ONLY) == data

    def _composite(self, value: Any, type: Type) -> Binding:
        """Bind a list, tuple, dict, dataclass or NamedTuple that holds promises."""
        if isinstance(type, UnionType):
            for arm, wanted in enumerate(type.arms):
                mark = self._trace.session.mark()
                try:
                    return [ARM, arm, self._bind(value, wanted, _codec(wanted))]
                except (_DoesNotFit, TypeMismatch):
                    self._trace.session.rollback(mark)
            raise _DoesNotFit(type, f"{said(value)} with promises in it was given", None)
        if isinstance(value, list) and isinstance(type, ListType | AnyType):
            return [LIST, self._items(value, [ANY if isinstance(type, AnyType) else type.item] * len(value))]
        if isinstance(value, dict) and isinstance(type, RecordType) and type.kind == "typeddict":
            return self._typed_dict(value, type)
        if isinstance(value, dict) and isinstance(type, DictType | AnyType):
            key_type, value_type = (ANY, ANY) if isinstance(type, AnyType) else (type.key, type.value)
            keys = [_codec(key_type).lower(key) for key in value]
            refuse_what_no_plan_may_hold(pack(keys))
            items = self._items(list(value.values()), [value_type] * len(value), [f"[{key!r}]" for key in value])
            return [DICT, [[key, item] for key, item in zip(keys, items, strict=True)]]
        if is_record(value.__class__) and not isinstance(type, TupleType | VarTupleType):
            return self._record(value, type)
        if isinstance(value, tuple) and isinstance(type, TupleType | VarTupleType | AnyType):
            each = type.item if isinstance(type, VarTupleType) else ANY
            items = list(type.items) if isinstance(type, TupleType) else [each] * len(value)
            if len(items) != len(value):
                raise _DoesNotFit(type, f"a tuple of {len(value)} was given", None)
            return [TUPLE, self._items(value, items)]
        raise _DoesNotFit(type, f"{said(value)} with promises in it was given", None)

    def _record(self, value: Any, type: Type) -> Binding:
        cls = value.__class__
        record = type
        is_named = class_name(getattr(type, "name", "")) != qualified_name(cls)
        if is_named and isinstance(type, AnyType | RecordType):
            try:
                record = Inference().infer(cls)
            except AnnotationError as error:
                raise ArgumentValueError(f"{cls.__name__}: {error}") from None
        if (
            not isinstance(record, RecordType)
            or class_name(record.name) != qualified_name(cls)
            or why_not(record, type) is not None
        ):
            raise _DoesNotFit(type, f"a {cls.__name__} was given", None)
        names = field_names(cls)
        wanted = [field.type for field in record.fields]
        items = self._items(reader(cls, names)(value), wanted, [f".{name}" for name in names])
        return [RECORD, type_bytes(record) if is_named else None, items]

    def _typed_dict(self, value: dict[Any, Any], type: RecordType) -> Binding:
        names = [field.name for field in type.fields]
        missing = [field.name for field in type.fields if field.required and field.name not in value]
        unknown = [key for key in value if key not in names]
        if missing or unknown:
            said = f"the key {missing[0]!r} is missing" if missing else f"it has no key {unknown[0]!r}"
            raise _DoesNotFit(type, "a dict was given", said)
        bindings: list[Binding] = []
        for field, part in zip(type.fields, type.parts, strict=True):
            given = [value[field.name]] if field.name in value else []
            bound = self._items(given, [field.type] * len(given), [f"[{field.name!r}]"])
            bindings.append(bound[0] if part is field.type else [TUPLE, bound])
        return [RECORD, None, bindings]

    def _items(self, values: Sequence[Any], types: Sequence[Type], steps: Sequence[str] | None = None) -> list[Binding]:
        bindings = []
        for index, (value, type) in enumerate(zip(values, types, strict=True)):
            step = steps[index] if steps else f"[{index}]"
            try:
                bindings.append(self._bind(value, type, _codec(type)))
            except _DoesNotFit as misfit:
                raise _DoesNotFit(misfit.wanted, misfit.given, misfit.reason, step + misfit.path) from None
            except TypeMismatch as mismatch:
                raise mismatch.inside(step) from None
        return bindings


def holds_promise(value: Any) -> bool:
    """Tell whether the lists, tuples, dicts and records of a value hold a promise anywhere."""
    todo, seen = [value], set()
    while todo:
        one = todo.pop()
        kind = one.__class__
        if kind is Promise or isinstance(one, Promise):
            return True
        if kind in (int, str, float, bool, bytes) or one is None:
            continue
        if isinstance(one, list | tuple):
            children: Any = one
        elif isinstance(one, dict):
            children = one.values()
        elif not isinstance(one, type) and is_record(kind):
            children = [getattr(one, name, None) for name in field_names(kind)]
        else:
            continue
        if id(one) not in seen:
            seen.add(id(one))
            todo.extend(children)
    return False
