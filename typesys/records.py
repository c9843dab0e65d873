"""Records, taken apart and put together: dataclasses, NamedTuples, and the models of attrs, msgspec and pydantic.

A dataclass is rebuilt through its constructor where that takes every field, so that the values which `__post_init__`
derives are there again. Then each field is set to exactly the value that was written, should `__post_init__` have
changed it. Where the constructor can't take every field (`InitVar`, `init=False` without default), the fields are set
on a bare instance, as `copy` and `pickle` do. So are those of models, whose validators and converters have seen the
values before.

A class is known by what its library gives every class of its kind, so no library is imported here.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from operator import attrgetter
from typing import Annotated, Any, Final, cast

from promissory.typesys.class_annotations import class_hints
from promissory.typesys.errors import FormatError

Beside = tuple[list[str], dict[str, Any] | None, dict[str, Any] | None]
"""What a pydantic model has beside its fields' values: the fields that were not set, the extra values, and the private
ones."""


def is_pydantic(cls: Any) -> bool:
    """Tell whether a class is a model of pydantic."""
    return hasattr(cls, "__pydantic_fields__") and not dataclasses.is_dataclass(cls)


def is_secret_of_pydantic(cls: Any) -> bool:
    """Tell whether a class is one of pydantic's for secrets, whose values a pickle would hold."""
    return isinstance(cls, type) and any(
        one.__module__ == "pydantic.types" and one.__name__.lstrip("_").startswith("Secret") for one in cls.__mro__
    )


def origin_of(cls: Any) -> Any:
    """Give the generic model of which a class is one for certain arguments (`Box` for `Box[int]`), or the class."""
    return (getattr(cls, "__pydantic_generic_metadata__", None) or {}).get("origin") or cls


def is_attrs(cls: Any) -> bool:
    """Tell whether a class is one of attrs."""
    return hasattr(cls, "__attrs_attrs__")


def is_msgspec(cls: Any) -> bool:
    """Tell whether a class is a `Struct` of msgspec."""
    return hasattr(cls, "__struct_fields__") and hasattr(cls, "__struct_config__")


def is_model(cls: Any) -> bool:
    """Tell whether a class is a model of a library."""
    return is_pydantic(cls) or is_attrs(cls) or is_msgspec(cls)


def is_record(cls: type) -> bool:
    """Tell whether values of this class are written field by field."""
    return dataclasses.is_dataclass(cls) or (issubclass(cls, tuple) and hasattr(cls, "_fields")) or is_model(cls)


def field_names(cls: Any) -> tuple[str, ...]:
    """List the fields of a record class in order.

    >>> from typing import NamedTuple
    >>> class Point(NamedTuple):
    ...     x: int
    ...     y: int
    >>> field_names(Point)
    ('x', 'y')
    """
    if dataclasses.is_dataclass(cls):
        return tuple(field.name for field in dataclasses.fields(cls))
    if is_pydantic(cls):
        return tuple(cls.__pydantic_fields__)
    if is_attrs(cls):
        return tuple(attribute.name for attribute in cls.__attrs_attrs__)
    names: tuple[str, ...] = cls.__struct_fields__ if is_msgspec(cls) else cls._fields
    return names


def required_fields(cls: Any) -> dict[str, bool]:
    """Tell of each field of a dataclass or model whether the class has no default for it."""
    if dataclasses.is_dataclass(cls):
        missing = dataclasses.MISSING
        return {f.name: f.default is missing and f.default_factory is missing for f in dataclasses.fields(cls)}
    if is_pydantic(cls):
        return {name: info.is_required() for name, info in cls.__pydantic_fields__.items()}
    if is_attrs(cls):
        nothing = sys.modules["attr"].NOTHING
        return {one.name: one.default is nothing for one in cls.__attrs_attrs__}
    count = len(cls.__struct_fields__) - len(cls.__struct_defaults__)
    nodefault = sys.modules["msgspec"].NODEFAULT
    defaults = [nodefault] * count + list(cls.__struct_defaults__)
    return dict(zip(cls.__struct_fields__, [one is nodefault for one in defaults], strict=True))


def model_hints(cls: Any) -> dict[str, Any]:
    """Give the annotations of a record's fields. pydantic has put in a generic's arguments, and keeps apart what
    `Annotated` adds."""
    if not is_pydantic(cls):
        return class_hints(cls)
    if not cls.__pydantic_complete__:
        cls.model_rebuild()
    found = {}
    for name, info in cls.__pydantic_fields__.items():
        annotation = _without_references(info.annotation, cls)
        found[name] = Annotated[(annotation, *info.metadata)] if info.metadata else annotation
    return found


def _without_references(annotation: Any, cls: Any) -> Any:
    """Put a generic model in the place of pydantic's reference to it, in an annotation of its own."""
    if type(annotation).__name__ == "PydanticRecursiveRef":
        return cls
    arguments = typing.get_args(annotation)
    if not any(type(one).__name__ == "PydanticRecursiveRef" or typing.get_args(one) for one in arguments):
        return annotation
    inside = tuple(_without_references(one, cls) for one in arguments)
    origin = typing.get_origin(annotation)
    return typing.Union[inside] if origin in (typing.Union, types.UnionType) else origin[inside]  # noqa: UP007


def reader(cls: type, names: tuple[str, ...]) -> Callable[[Any], list[Any]]:
    """Make a function from an instance to the list of its fields' values."""
    if issubclass(cls, tuple):
        return list
    if not names:
        return lambda value: []
    if len(names) == 1:
        get_one = attrgetter(names[0])
        return lambda value: [get_one(value)]
    get_all = attrgetter(*names)
    return lambda value: list(get_all(value))


def beside(value: Any) -> Beside | None:
    """Give what a pydantic model has beside its fields' values; None for any other record, and for a model that was
    given all its fields and has nothing else."""
    if not is_pydantic(type(value)):
        return None
    unset = [name for name in type(value).__pydantic_fields__ if name not in value.__pydantic_fields_set__]
    extra, private = value.__pydantic_extra__ or None, value.__pydantic_private__ or None
    return (unset, extra, private) if unset or extra or private else None


def builder(cls: Any, names: tuple[str, ...]) -> Callable[..., Any]:
    """Make a function from the list of fields' values, and what was `beside` them, to an instance.

    `names` are the fields with which the values were written. A field that the class got since then has its default.

    Raises `FormatError` if the class has lost one of them, or has got one without a default.
    """
    added = _added(cls, names)
    if added:
        return _builder_of_more(cls, names, added)
    if issubclass(cls, tuple):
        places = [names.index(name) for name in field_names(cls)]
        if places == sorted(places):
            return lambda values, apart=None: tuple.__new__(cls, values)
        return lambda values, apart=None: tuple.__new__(cls, [values[place] for place in places])
    if is_pydantic(cls) or is_attrs(cls):
        return lambda values, apart=None: _model(cls, names, values, apart)
    constructible = _constructor_takes(cls) == set(names)
    put = sys.modules["msgspec"].structs.force_setattr if is_msgspec(cls) else object.__setattr__

    def build(values: list[Any], apart: Beside | None = None) -> Any:
        given = dict(zip(names, values, strict=True))
        instance = cls(**given) if constructible else cls.__new__(cls)
        for name, value in given.items():
            if not constructible or getattr(instance, name, instance) is not value:
                put(instance, name, value)
        return instance

    return build


def _builder_of_more(cls: Any, names: tuple[str, ...], added: list[str]) -> Callable[..., Any]:
    """Make the builder for values that were written before the class got some fields."""
    build = builder(cls, (*names, *added))

    def build_with_defaults(values: list[Any], apart: Beside | None = None) -> Any:
        given = dict(zip(names, values, strict=True))
        for name in added:
            given[name] = default_of(cls, name, given)
        unset, extra, private = apart or ([], None, None)
        return build(list(given.values()), (unset + added, extra, private) if is_pydantic(cls) else apart)

    return build_with_defaults


def _added(cls: Any, names: tuple[str, ...]) -> list[str]:
    """The fields of a class beyond those with which its values were written."""
    today = field_names(cls)
    if today == names:
        return []
    lost = [name for name in names if name not in today]
    added = [name for name in today if name not in names and not is_derived(cls, name)]
    required = {} if issubclass(cls, tuple) else required_fields(cls)
    defaults = getattr(cls, "_field_defaults", {})
    bare = [name for name in added if required.get(name, name not in defaults)]
    if lost or bare:
        why = f"has no {lost[0]!r} any more" if lost else f"has {bare[0]!r} by now, without a default"
        raise FormatError(
            f"a {cls.__name__}",
            f"was written with the fields {', '.join(names) or '(none)'}; the class {why}: it has {', '.join(today)}",
        )
    return added


def is_derived(cls: Any, name: str) -> bool:
    """Tell whether a field of a dataclass is none of its constructor's parameters."""
    return dataclasses.is_dataclass(cls) and any(
        field.name == name and not field.init for field in dataclasses.fields(cls)
    )


def _model(cls: Any, names: tuple[str, ...], values: list[Any], apart: Beside | None) -> Any:
    if _validates.get():
        parameters = {field: parameter for parameter, field in constructor_names(cls).items()}
        return cls(**{parameters[n]: v for n, v in zip(names, values, strict=True) if n in parameters})
    return fill(cls.__new__(cls), names, values, apart)


_validates: ContextVar[bool] = ContextVar("promissory_validates", default=False)


@contextmanager
def validating() -> Iterator[None]:
    """Have models be made by their constructors inside a `with` block, as for values that nobody has seen yet: those
    that were put together in a trace."""
    token = _validates.set(True)
    try:
        yield
    finally:
        _validates.reset(token)


def said_by_model(error: BaseException) -> str:
    """Give what a model says of values that it refuses, in one line."""
    errors = getattr(error, "errors", None)
    if callable(errors) and type(error).__name__ == "ValidationError":
        return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}" for one in errors())
    return f"{type(error).__name__}: {error}"


def constructor_names(cls: Any) -> dict[str, str]:
    """Give the fields of a model by the names that its constructor knows them by, in order."""
    if is_attrs(cls):
        return {one.alias: one.name for one in cls.__attrs_attrs__ if one.init}
    if is_msgspec(cls):
        return {name: name for name in cls.__struct_fields__}
    found = {}
    for name, info in cls.__pydantic_fields__.items():
        alias = info.validation_alias or info.alias
        found[alias if isinstance(alias, str) else name] = name
    return found


def by_place(cls: Any) -> list[str]:
    """List the parameters of a model's constructor that may be given by place."""
    return [one.alias for one in cls.__attrs_attrs__ if one.init and not one.kw_only] if is_attrs(cls) else []


def default_of(cls: Any, name: str, given: dict[str, Any]) -> Any:
    """Give the default of a record's field, made anew, perhaps of the fields that are given. Raises `TypeError` if the
    field has none."""
    if dataclasses.is_dataclass(cls):
        field = next(one for one in dataclasses.fields(cls) if one.name == name)
        if field.default_factory is not dataclasses.MISSING:
            return field.default_factory()
        if field.default is not dataclasses.MISSING:
            return field.default
    elif issubclass(cls, tuple):
        return cast(Any, cls)._field_defaults[name]
    elif is_msgspec(cls):
        found = next(one for one in sys.modules["msgspec"].structs.fields(cls) if one.name == name)
        return found.default if found.default_factory is sys.modules["msgspec"].NODEFAULT else found.default_factory()
    elif is_pydantic(cls):
        info = cls.__pydantic_fields__[name]
        if not info.is_required():
            return info.get_default(call_default_factory=True, validated_data=given)
    else:
        default = next(one.default for one in cls.__attrs_attrs__ if one.name == name)
        attr = sys.modules["attr"]
        if isinstance(default, attr.Factory):
            return default.factory(types.SimpleNamespace(**given)) if default.takes_self else default.factory()
        if default is not attr.NOTHING:
            return default
    raise TypeError(f"{cls.__name__} needs the field {name!r}")


def fill(instance: Any, names: tuple[str, ...], values: list[Any], apart: Beside | None) -> Any:
    """Give a bare model its fields, and what it has beside them."""
    if is_pydantic(type(instance)):
        return _fill_pydantic(instance, type(instance), dict(zip(names, values, strict=True)), apart)
    for name, value in zip(names, values, strict=True):
        object.__setattr__(instance, name, value)
    if _HASH in getattr(getattr(type(instance).__hash__, "__code__", None), "co_names", ()):
        object.__setattr__(instance, _HASH, None)  # as the constructor does it
    return instance


_HASH: Final = "_attrs_cached_hash"
"""Where attrs keeps the hash of an instance whose class has `cache_hash=True`."""


def _fill_pydantic(instance: Any, cls: Any, values: dict[str, Any], apart: Beside | None) -> Any:
    unset, extra, private = apart or ([], None, None)
    if extra is None and cls.model_config.get("extra") == "allow":
        extra = {}
    if private is None and cls.__private_attributes__:
        defaults = {name: one.get_default() for name, one in cls.__private_attributes__.items()}
        undefined = sys.modules["pydantic_core"].PydanticUndefined
        private = {name: value for name, value in defaults.items() if value is not undefined}
    for name, value in (
        ("__dict__", values),
        ("__pydantic_fields_set__", (set(values) - set(unset)).union(extra or ())),
        ("__pydantic_extra__", extra),
        ("__pydantic_private__", private),
    ):
        if name in ("__dict__", "__pydantic_fields_set__") or not cls.__pydantic_root_model__:
            object.__setattr__(instance, name, value)
    return instance


def _constructor_takes(cls: type) -> set[str]:
    """Name the parameters of the constructor. Empty if it takes arguments without a name of their own."""
    try:
        parameters = list(inspect.signature(cls).parameters.values())
    except (TypeError, ValueError):
        return set()
    named = all(p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in parameters)
    return {p.name for p in parameters} if named else set()
