"""Kinship of classes, for types that name classes: which derives from which.

Types don't say it, so classes that are loaded are asked: those of a workflow are while it is traced. Of a class that is
not loaded, only what its type says is known, and nothing is imported to know more (rule T1).
"""

from __future__ import annotations

from promissory.typesys.families import registry
from promissory.typesys.names import loaded_class
from promissory.typesys.types import EnumType, FlagType, NamedType, RecordType, StrType, Type, class_name


def derives(source: RecordType, target: RecordType) -> bool:
    """Tell whether a record's class derives from another's. Both are dataclasses, or both NamedTuples."""
    names = {field.name for field in source.fields}
    if source.kind != target.kind or source.kind == "typeddict" or class_name(source.name) == class_name(target.name):
        return False
    cls, base = loaded_class(class_name(source.name)), loaded_class(class_name(target.name))
    may = all(field.name in names for field in target.fields)
    return may and (cls is None or base is None or issubclass(cls, base))


def is_scalar_too(source: EnumType | FlagType, target: Type) -> bool:
    """Tell whether an enum's members are ints or texts themselves (`IntEnum`, `StrEnum`), so that they may go where a
    scalar is wanted."""
    plain = str if isinstance(target, StrType) else int
    cls = loaded_class(source.name)
    return all(type(value) is plain for _, value in source.members) and (cls is None or issubclass(cls, plain))


def is_dict_too(source: NamedType) -> bool:
    """Tell whether the values of a family are dicts themselves (`OrderedDict`)."""
    family = registry.known(source.name)
    return family is not None and issubclass(family.cls, dict)


def derives_family(source: NamedType, target: NamedType) -> bool:
    """Tell whether the values of a family are values of another, which welcomes subclasses (`Path`, `PurePath`)."""
    given, wanted = registry.known(source.name), registry.known(target.name)
    if given is None or wanted is None or given is wanted:
        return False
    return wanted.subclasses and issubclass(given.cls, wanted.cls)
