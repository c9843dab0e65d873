"""Python annotation → `Type`.

This module owns the reading of annotations: their meaning on the wire, and the author's classes that they mention (a
decoder needs the classes to build values). It knows nothing of values or bytes.
"""

from __future__ import annotations

import dataclasses
import enum
import re
import types
import typing
from collections import abc
from dataclasses import dataclass, field
from types import GenericAlias
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

from promissory.typesys.class_annotations import (
    class_hints,
    field_annotations,
    is_protocol,
    is_record_class,
    is_required_key,
    substituted,
    type_variables,
)
from promissory.typesys.errors import AnnotationError
from promissory.typesys.families import registry
from promissory.typesys.names import module_name, qualified_name
from promissory.typesys.records import (
    is_model,
    is_pydantic,
    is_secret_of_pydantic,
    model_hints,
    required_fields,
)
from promissory.typesys.spelling import full_name, spelling
from promissory.typesys.types import (
    ANY,
    BOOL,
    BYTES,
    FLOAT,
    INT,
    NONE,
    STR,
    Definition,
    DictType,
    EnumType,
    Field,
    FlagType,
    FrozenSetType,
    ListType,
    LiteralType,
    NamedType,
    OpaqueType,
    RecordKind,
    RefType,
    SetType,
    TupleType,
    Type,
    UnionType,
    VarTupleType,
    children,
    closed,
    walk,
)
from promissory.typesys.unions import union

_of_program: Final = re.compile(r"(?<![\w.])__(?:mp_)?main__\.")
"""The program's own module, in the text of an annotation like `type[A]` that is no class."""


def _program(found: re.Match[str]) -> str:
    """The program's module as an import names it, so that a plan is the same in every process."""
    return f"{module_name('__main__')}."


class _OpaqueMark:
    def __repr__(self) -> str:
        return "Opaque"


_T = TypeVar("_T")
OPAQUE_MARK: Final = _OpaqueMark()
Opaque = Annotated[_T, OPAQUE_MARK]
"""`Opaque[Model]` says that a `Model` travels as a pickle, on purpose: no warning, and allowed when strict.

>>> print(type_of(Opaque[object]))
Opaque[object]
"""

_SCALARS: dict[Any, Type] = {
    Any: ANY,
    object: ANY,
    None: NONE,
    type(None): NONE,
    bool: BOOL,
    int: INT,
    float: FLOAT,
    str: STR,
    bytes: BYTES,
}
_BARE: dict[Any, Type] = {
    list: ListType(ANY),
    dict: DictType(ANY, ANY),
    tuple: VarTupleType(ANY),
    set: SetType(ANY),
    frozenset: FrozenSetType(ANY),
}
_BARE_TYPING: dict[Any, Type] = {
    typing.List: ListType(ANY),  # noqa: UP006
    typing.Dict: DictType(ANY, ANY),  # noqa: UP006
    typing.Tuple: VarTupleType(ANY),  # noqa: UP006
    typing.Set: SetType(ANY),  # noqa: UP006
    typing.FrozenSet: FrozenSetType(ANY),  # noqa: UP006
}
_ABSTRACT: dict[Any, tuple[type, ...]] = {
    **dict.fromkeys((abc.Sequence, abc.Collection, abc.Iterable), (list, tuple)),
    abc.MutableSequence: (list,),
    abc.Set: (set, frozenset),
    abc.MutableSet: (set,),
    **dict.fromkeys((abc.Mapping, abc.MutableMapping), (dict,)),
}
"""Abstract collections stand for the concrete collections that their values may be: a `Sequence` is a list or a
tuple."""
_MAX_NESTING: Final = 64
_interned: dict[Type, Type] = {}


@dataclass(slots=True)
class Inference:
    """The findings about one annotation, or a whole signature: the classes that it mentions by name, the classes
    without known wire form, and the protocols, which are `Any` on the wire."""

    classes: dict[str, Any] = field(default_factory=dict)
    unknown: list[Any] = field(default_factory=list)
    protocols: list[Any] = field(default_factory=list)
    _definitions: dict[str, Definition] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)

    def infer(self, annotation: Any) -> Type:
        """Infer the type of an annotation. Equal types are one object, so `is` is a fast first test.

        Raises `AnnotationError`.
        """
        inferred = closed(self._infer(annotation, _MAX_NESTING), self._definitions)
        return _interned.setdefault(inferred, inferred)

    def _infer(self, annotation: Any, room: int) -> Type:
        """Infer the type of an annotation, with records by name.

        `room` is the number of levels by which it may still nest.
        """
        try:
            scalar = _SCALARS.get(annotation) or _BARE.get(annotation)
        # The annotation is not hashable: Annotated[…, []], Literal[[]].
        except TypeError:
            scalar = None
        if scalar is not None:
            return scalar
        if concrete := _ABSTRACT.get(annotation) if isinstance(annotation, type) else None:
            return union([_BARE[one] for one in concrete])
        if room == 0:
            raise AnnotationError(
                f"it is nested more than {_MAX_NESTING} deep; use a record that mentions itself by name"
            )
        inside = room - 1
        origin, args = get_origin(annotation), get_args(annotation)
        if (
            not args
            and origin is not None
            and annotation.__class__.__module__ == "typing"
            and annotation in _BARE_TYPING
        ):
            return _BARE_TYPING[annotation]
        if origin is Annotated:
            if OPAQUE_MARK in args[1:]:
                return OpaqueType(self._class_name(args[0]))
            stated = registry.family_of(get_origin(args[0]) or args[0])
            if stated is not None and stated.stated is not None:
                return stated.type_with(stated.stated(get_args(args[0]), args[1:]))
            return self._infer(args[0], inside)
        if origin in (typing.Final, typing.Required, typing.NotRequired, getattr(typing, "ReadOnly", typing.Final)):
            return self._infer(args[0], inside)
        if origin in _ABSTRACT and args:
            return union(
                [
                    self._infer(GenericAlias(one, (*args, ...) if one is tuple else args), room)
                    for one in _ABSTRACT[origin]
                ]
            )
        if origin is Union or origin is types.UnionType:
            return union([self._infer(arm, inside) for arm in args])
        if origin is Literal:
            return self._literal(annotation, args)
        if origin in (list, set, frozenset):
            item = self._infer(args[0], inside)
            if origin is list:
                return ListType(item)
            self._must_be_hashable(item, annotation)
            return SetType(item) if origin is set else FrozenSetType(item)
        if origin is dict:
            key, value = (self._infer(arg, inside) for arg in args)
            self._must_be_hashable(key, annotation)
            return DictType(key, value)
        if origin is tuple:
            if len(args) == 2 and args[1] is Ellipsis:
                return VarTupleType(self._infer(args[0], inside))
            return TupleType(tuple(self._infer(arg, inside) for arg in args if arg != ()))
        if isinstance(annotation, typing.NewType):
            return self._infer(annotation.__supertype__, inside)
        if type(origin).__name__ == "TypeAliasType":
            return self._infer(
                substituted(origin.__value__, dict(zip(origin.__type_params__, args, strict=False))), inside
            )
        if type(annotation).__name__ == "TypeAliasType":
            return self._infer(annotation.__value__, inside)
        if isinstance(annotation, TypeVar):
            return self._infer(annotation.__bound__ or Any, inside)
        if isinstance(annotation, str | typing.ForwardRef):
            raise AnnotationError(f"the name in annotation {annotation!r} is not known where it is used")
        family = registry.family_of(annotation if origin is None else origin)
        if family is not None:
            return self._family(family, args, inside)
        if isinstance(annotation, type) and origin is None:
            return self._class(annotation, inside)
        if isinstance(origin, type) and (is_record_class(origin) or is_model(origin)):
            return self._class(origin, inside, args)
        if is_protocol(origin):
            self.protocols.append(annotation)
            return ANY
        if annotation.__class__ in (bool, int, float, bytes, list, dict, tuple, set):
            raise AnnotationError(f"{annotation!r} is a value, not a type")
        return self._opaque(annotation)

    def _family(self, family: registry.Family, args: tuple[Any, ...], room: int) -> Type:
        if family.annotation is not None:
            return family.type_with(self._infer(family.annotation, room))
        if family.stated is not None and args:
            return family.type_with(family.stated(args, ()))
        if family.generic is None:
            return family.type
        wire = family.generic(*[self._infer(argument, room) for argument in args or (Any,) * family.parameters])
        if isinstance(wire, DictType):
            self._must_be_hashable(wire.key, family.cls)
        return family.type_with(wire)

    def _class(self, cls: type[Any], room: int, args: tuple[Any, ...] = ()) -> Type:
        if issubclass(cls, enum.Flag):
            return FlagType(
                self._class_name(cls), tuple((name, int(member.value)) for name, member in cls.__members__.items())
            )
        if issubclass(cls, enum.Enum):
            members = tuple((m.name, m.value if type(m.value) in (str, int) else None) for m in cls)
            return EnumType(self._class_name(cls), members)
        if dataclasses.is_dataclass(cls) or is_model(cls):
            return self._record(cls, "dataclass", required_fields(cls), room, args)
        if issubclass(cls, tuple) and hasattr(cls, "_fields"):
            defaults = getattr(cls, "_field_defaults", {})
            return self._record(cls, "namedtuple", {name: name not in defaults for name in cls._fields}, room, args)
        if typing.is_typeddict(cls):
            return self._record(
                cls,
                "typeddict",
                {name: is_required_key(cls, name, hint) for name, hint in class_hints(cls).items()},
                room,
                args,
            )
        if is_protocol(cls):
            self.protocols.append(cls)
            return ANY
        return self._opaque(cls)

    def _record(
        self, cls: type[Any], kind: RecordKind, required: dict[str, bool], room: int, args: tuple[Any, ...]
    ) -> Type:
        """Mention a record, and define it at its first mention.

        A generic record is another record for each of its arguments.
        """
        name = self._class_name(cls)
        parameters = type_variables(cls)
        if any(type(parameter).__name__ != "TypeVar" for parameter in parameters):
            raise AnnotationError(
                f"{cls.__qualname__} is generic over something else than plain type variables, which has no "
                "wire form; write out its fields"
            )
        if args:
            name += f"[{', '.join(self._argument_name(self._infer(argument, room)) for argument in args)}]"
            self.classes[name] = cls
        if name not in self._begun:
            self._begun.add(name)
            hints = model_hints(cls) if is_pydantic(cls) else field_annotations(cls, args)
            fields = tuple(Field(one, self._infer(hints.get(one, Any), room), required[one]) for one in required)
            self._definitions[name] = Definition(name, kind, fields)
        return RefType(name)

    def _argument_name(self, argument: Type) -> str:
        """Name an argument of a generic record in the record's name, so that it differs from any other argument."""
        for inner in walk(argument):
            if isinstance(inner, OpaqueType) or (
                isinstance(inner, EnumType) and len(inner.members) < len(self.classes[inner.name])
            ):
                return spelling(argument)
        return full_name(argument)

    def _opaque(self, annotation: Any) -> Type:
        if registry.discover():
            return self._infer(annotation, _MAX_NESTING)
        if is_secret_of_pydantic(annotation):
            raise AnnotationError(f"a {_text(annotation)} would be stored with its value: use Secret(…), which isn't")
        self.unknown.append(annotation)
        return OpaqueType(self._class_name(annotation))

    def _class_name(self, cls: Any) -> str:
        name = qualified_name(cls) if isinstance(cls, type) else _of_program.sub(_program, str(cls))
        known = self.classes.setdefault(name, cls)
        if known is not cls and isinstance(cls, type):
            raise AnnotationError(
                f"two classes are both called {name}, and a plan tells classes apart by name; rename one"
            )
        return name

    def _literal(self, annotation: Any, args: tuple[Any, ...]) -> Type:
        members = [arg for arg in args if isinstance(arg, enum.Enum)]
        if members:
            if len(members) != len(args) or len({type(m) for m in members}) != 1:
                raise AnnotationError(f"{annotation} mixes members of an enum with other values; split it into a union")
            whole = self._class(type(members[0]), _MAX_NESTING)
            if not isinstance(whole, EnumType):
                raise AnnotationError(
                    f"{annotation}: members of a Flag combine, so one alone is no type; use {type(members[0]).__name__}"
                )
            names = {m.name for m in members}
            return EnumType(whole.name, tuple(member for member in whole.members if member[0] in names))
        if not all(type(arg) in (bool, int, str, bytes, type(None)) for arg in args):
            raise AnnotationError(f"{annotation}: Literal takes bool, int, str, bytes, None and members of an enum")
        return LiteralType(tuple(sorted(args, key=lambda arg: (type(arg).__name__, repr(arg)))))

    def _must_be_hashable(self, type: Type, annotation: Any) -> None:
        todo = [type]
        while todo:
            inner = todo.pop()
            if isinstance(inner, NamedType) and registry.is_unhashable(inner.name):
                raise AnnotationError(
                    f"{_text(annotation)}: {inner} can't be a key or a member of a set, it is not hashable"
                )
            if (
                isinstance(inner, RefType)
                and inner.name in self._definitions
                and self._definitions[inner.name].kind == "typeddict"
            ):
                raise AnnotationError(
                    f"{_text(annotation)}: {inner} can't be a key or a member of a set, it is not hashable"
                )
            if isinstance(inner, ListType | DictType | SetType):
                raise AnnotationError(
                    f"{_text(annotation)}: {inner} can't be a key or a member of a set, it is not hashable"
                )
            if isinstance(inner, UnionType | TupleType | VarTupleType):
                todo.extend(children(inner))


def _text(annotation: Any) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)


def type_of(annotation: Any) -> Type:
    """Infer the wire type of an annotation.

    Args:
        annotation: anything that may stand behind a parameter's colon; strings must have been resolved.

    Raises:
        AnnotationError: the annotation has no wire form; the message says what to write instead.

    >>> print(type_of(dict[str, tuple[int, ...]]))
    dict[str, tuple[int, ...]]
    >>> type_of(int | None) == type_of(None | int)
    True
    """
    return Inference().infer(annotation)


def mentions_opaque(type: Type) -> bool:
    """Tell whether a value of this type may hold a pickle, so that equal values may have different bytes."""
    return any(isinstance(inner, OpaqueType) for inner in walk(type))
