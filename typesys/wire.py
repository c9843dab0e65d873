"""Value ⇄ bytes, directed by the type, canonical.

A codec has two halves over *wire trees* (the values that msgpack knows: None, bool, int, float, str,
bytes, list): `lower` turns a value into its tree and checks it to the last element on the way, `lift` turns a tree into
a value. The encoder is the complete run-time check. It must visit each element anyway, at a hundredth of the cost of a
generic checker (a list of 1,000 ints: 12 µs against typeguard's 4 ms), because one `set(map(type, xs))` in C answers
for the whole list.

Decoding doesn't check again: the digest is the proof that the bytes are an encoder's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from promissory.typesys.buffer import INSIDE, Parts
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.codec_halves import build
from promissory.typesys.depth import DEEPEST, TOO_DEEP, check_depth, is_bottomless, too_deep
from promissory.typesys.errors import FormatError, NotTrusted, TypeMismatch
from promissory.typesys.infer import Inference
from promissory.typesys.names import NotFound, find
from promissory.typesys.protocols import check_protocols
from promissory.typesys.record_halves import Lift
from promissory.typesys.scalars import Lower
from promissory.typesys.types import Type, class_name


@dataclass(frozen=True, slots=True)
class Codec:
    """Encodes and decodes the values of one type.

    >>> from promissory.typesys import codec_of
    >>> codec = codec_of(dict[str, list[int]])
    >>> codec.decode(codec.encode({"a": [1, 2]}))
    {'a': [1, 2]}
    >>> codec.encode({"a": [1, "2"]})
    Traceback (most recent call last):
        ...
    promissory.errors.TypeMismatch: ['a'][1]: expected int, got str
    """

    type: Type
    lower: Lower
    lift: Lift | None
    bottomless: bool = False

    def check(self, value: Any) -> None:
        """Raise `TypeMismatch` unless a value is of the type, to its last element."""
        self.lowered(value)
        if self.bottomless:
            check_depth(value)

    def lowered(self, value: Any) -> Any:
        """Give the wire tree of a value. Raises `TypeMismatch`."""
        try:
            return self.lower(value)
        except RecursionError:
            raise too_deep(value) from None

    def encode(self, value: Any, parts: Parts | None = None) -> bytes:
        """Write a value as canonical bytes.

        Args:
            value: the value.
            parts: keeps its large buffers; without it they stand in the bytes.

        Raises `TypeMismatch` with the path to the element that is not of the type.
        """
        try:
            data = pack(self.lower(value), parts or INSIDE)
        except RecursionError:
            raise too_deep(value) from None
        except ValueError as error:
            raise _without_stack(value, error) from None
        if self.bottomless and len(data) > DEEPEST:  # each level takes a byte or more
            check_depth(value)
        return data

    def packed(self, value: Any, tree: Any, parts: Parts | None = None) -> bytes:
        """Write a value, which was lowered to a tree, as canonical bytes. Raises `TypeMismatch` if it is too deep."""
        try:
            data = pack(tree, parts or INSIDE)
        except ValueError as error:
            raise _without_stack(value, error) from None
        if self.bottomless and len(data) > DEEPEST:
            check_depth(value)
        return data

    def decode(self, data: bytes | memoryview, parts: Parts | None = None) -> Any:
        """Read a value from its bytes, and its large buffers from `parts`. Raises `FormatError`."""
        tree = unpack(data, parts=parts)
        return tree if self.lift is None else self.lift_tree(tree)

    def lift_tree(self, tree: Any) -> Any:
        """Lift a value from its wire tree.

        Raises `FormatError`, and `NotFound` if a class of the author's can't be imported.
        """
        if self.lift is None:
            return tree
        try:
            return self.lift(tree)
        except (FormatError, NotFound, NotTrusted, TypeMismatch):
            raise
        except RecursionError:
            raise FormatError(f"a value of {self.type}", TOO_DEEP) from None
        # Classes of the author's are built here, and may raise anything.
        except Exception as error:
            if getattr(error, "passes_through_decoding", False):
                raise
            raise FormatError(f"a value of {self.type}", f"can't be read: {type(error).__name__}: {error}") from error


def _without_stack(value: Any, error: ValueError) -> Exception:
    """The error for a value that could not be packed: msgpack says by a `ValueError` that its own stack is used up."""
    return too_deep(value) if "recursion limit" in str(error) else error


def codec_of(annotation: Any) -> Codec:
    """Give the codec of an annotation.

    Raises:
        AnnotationError: the annotation has no wire form.

    >>> codec_of(float).encode(1) == codec_of(float).encode(1.0)
    True
    """
    inference = Inference()
    codec = codec_for(inference.infer(annotation), inference.classes)
    return checking(codec, annotation) if inference.protocols else codec


def checking(codec: Codec, annotation: Any) -> Codec:
    """Give a codec that also asks typeguard whether values fit their annotation.

    Protocols need this, since they have no wire type of their own.
    """
    lower, lift = codec.lower, codec.lift

    def checked_lower(value: Any) -> Any:
        check_protocols(value, annotation)
        return lower(value)

    def checked_lift(tree: Any) -> Any:
        value = tree if lift is None else lift(tree)
        check_protocols(value, annotation)
        return value

    return Codec(codec.type, checked_lower, checked_lift, codec.bottomless)


def codec_for(type: Type, classes: dict[str, Any] | None = None) -> Codec:
    """Give the codec of a type, with the author's classes by name.

    Classes that are not given are imported when a value needs them.
    """
    given = classes or {}

    def lookup(name: str) -> Any:
        return given[name] if name in given else find(class_name(name))

    lower, lift = build(type, lookup, {})
    return Codec(type, lower, lift, is_bottomless(type))
