"""The values of a worker's calls: arguments are fetched and decoded, results are checked, encoded and kept in the
store.

A value travels in an argument or outcome as its bytes, or as a reference to an object of the store. An argument may
also be one item of a list that the invocations of a batch share, or be put together from several values.
"""

from __future__ import annotations

from typing import Any, Final

from promissory.executor.code.resolver import Refused
from promissory.executor.crash_points import reached
from promissory.executor.protocol.events import tree_of
from promissory.executor.protocol.messages import ITEM, OBJECT, leaf_key
from promissory.executor.store.store import Store
from promissory.executor.worker.chunking import items_of
from promissory.planner.body.signals import Signal
from promissory.planner.functions.entity import Entity, wrong_result
from promissory.planner.plan.bindings import assemble
from promissory.planner.plan.model import Large, Parameter
from promissory.typesys.buffer import Parts
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.errors import FormatError, TypeMismatch
from promissory.typesys.records import said_by_model, validating
from promissory.typesys.transcode import transcode
from promissory.typesys.type_format import type_from_bytes
from promissory.typesys.types import Type
from promissory.typesys.wire import Codec

_LISTS_KEPT: Final = 8


class Values:
    """Encodes, keeps and fetches the values of one worker's calls.

    Args:
        store: where objects are read and written.

    Attributes:
        shared: the lists that the invocations of the current batch take items of.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.shared: list[Any] = []
        self._items: dict[bytes, list[bytes]] = {}

    @property
    def parts(self) -> Parts:
        """Where the large buffers of values are kept."""
        return self._store

    # --- results ---

    def encoded(self, entity: Entity[..., Any], result: Any) -> Any:
        """A body's result, checked and stored, as it stands in an outcome. Raises `Refused`."""
        if isinstance(result, Signal):
            raise Refused("TaskTypeError", wrong_result(entity, result))
        try:
            data = entity.signature.result.encode(result, self._store)
        except TypeMismatch as mismatch:
            raise Refused("TaskTypeError", wrong_result(entity, mismatch)) from None
        stored = tree_of(self._store.put_value(data))
        reached("worker.value-stored")
        return stored

    def kept(self, data: bytes) -> Any:
        """A value, stored, as it stands in an outcome."""
        return tree_of(self._store.put_value(data))

    # --- arguments ---

    def arguments_of(self, entity: Entity[..., Any], arguments: list[Any]) -> tuple[list[Any], list[bytes]]:
        """The values of a call's arguments, and the bytes that each was decoded from; empty for an argument that was
        put together here. Raises `Refused`."""
        values, encoded = [], []
        signature = entity.signature
        for parameter, codec, argument in zip(signature.interface.parameters, signature.codecs, arguments, strict=True):
            if argument.__class__ is bytes:
                data: bytes = argument
                referable = True
            elif argument is None:
                assert parameter.default is not None
                data, referable = parameter.default, True
            elif argument[0] == ITEM:
                data, referable = self.item(argument, parameter.type), False
            elif argument[0] == OBJECT:
                data, referable = self._store.get_value(Large(*argument[1:])), True
            else:
                values.append(self._built(entity.name, parameter, codec, argument))
                encoded.append(b"")
                continue
            try:
                values.append(codec.decode(data, self._store))
            except TypeMismatch as mismatch:
                raise Refused("TaskTypeError", mismatch.at(f"{entity.name}({parameter.name}=…)")) from None
            encoded.append(data if referable else b"")
        return values, encoded

    def _built(self, task: str, parameter: Parameter, codec: Codec, argument: Any) -> Any:
        """The value of an argument that is put together from several values. Its models are made by their own
        constructors, which see the values first here. Raises `Refused`."""
        try:
            data = pack(self.assembled(argument, parameter.type), self._store)
            with validating():
                return codec.decode(data, self._store)
        except TypeMismatch as mismatch:
            raise Refused("TaskTypeError", mismatch.at(f"{task}({parameter.name}=…)")) from None
        except FormatError as error:
            if error.__cause__ is None:
                raise
            raise Refused("TaskTypeError", f"{task}({parameter.name}=…): {said_by_model(error.__cause__)}") from None

    def bytes_of(self, argument: Any) -> bytes:
        """The bytes of a value as it stands in an argument or outcome."""
        data: bytes = argument if argument.__class__ is bytes else self._store.get_value(Large(*argument[1:]))
        return data

    def item(self, argument: list[Any], wanted: Type) -> bytes:
        """The bytes of one item of a shared list, transcoded to the wanted type. Raises `TypeMismatch`."""
        _, number, position, type = argument
        shared = self.shared[number]
        key = shared if shared.__class__ is bytes else shared[1]
        items = self._items.get(key)
        if items is None:
            if len(self._items) >= _LISTS_KEPT:
                self._items.clear()
            items = self._items[key] = list(items_of(self.bytes_of(shared), self._store))
        found: bytes = items[position]
        if type is None:
            return found
        tree = transcode(unpack(found, parts=self._store), type_from_bytes(type), wanted)
        return pack(tree, self._store)

    def assembled(self, argument: list[Any], wanted: Type) -> Any:
        """The tree of an argument that is put together from several values. Raises `TypeMismatch`."""
        _, binding, sources = argument
        found = {}
        for source, value, type in sources:
            data = value if value.__class__ is bytes else self._store.get_value(Large(*value[1:]))
            found[leaf_key(source)] = (data, None if type is None else type_from_bytes(type))

        def leaf(one: Any, target: Type) -> tuple[Any, Type]:
            data, type = found[leaf_key(one)]
            return unpack(data, parts=self._store), target if type is None else type

        return assemble(binding, wanted, leaf)
