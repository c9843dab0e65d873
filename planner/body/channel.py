"""The run's key-value store, as a body sees it (rule S7)."""

from __future__ import annotations

from typing import Any, Final

from promissory.planner.body.payload import decoded_payload, encoded_payload
from promissory.planner.body.requests import Requests
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.secret import INSTEAD, revealed_in

_LIST: Final = unpack(encoded_payload([], "a list"))[0]
"""The first element of every self-describing list."""


class Channel:
    """The run's key-value store (rule S7).

    Reads see the values committed when this attempt began, and the attempt's own writes.

    Writes count when the attempt ends without failing. With `set` the last commit wins. `add` and `append` merge, so
    that nothing is lost when many bodies write at one time.
    """

    def __init__(self, values: dict[str, bytes], requests: Requests) -> None:
        self._values = dict(values)
        self._requests = requests
        requests.read = True

    def get(self, key: str, default: Any = None) -> Any:
        """Give a key's value, as a copy of the caller's own. A key without value gives `default`."""
        _check_key(key)
        data = self._values.get(key)
        return default if data is None else decoded_payload(data)

    def set(self, key: str, value: Any) -> None:
        """Give a key a value: plain data. Raises `TypeError` for a value without wire form."""
        self._write("set", key, encoded_payload(value, f"channel().set({key!r}, …)"))

    def add(self, key: str, amount: float = 1) -> None:
        """Add to a number, which begins at 0. Raises `TypeError` if the key holds a value of another kind."""
        if amount.__class__ not in (int, float):
            raise TypeError(f"channel().add({key!r}, …) takes a number, not {amount!r}")
        self._write("add", key, pack(amount))

    def append(self, key: str, value: Any) -> None:
        """Append to a list, which begins empty. Raises `TypeError` if the key holds a value of another kind."""
        self._write("append", key, encoded_payload(value, f"channel().append({key!r}, …)"))

    def _write(self, operation: str, key: str, data: bytes) -> None:
        _check_key(key)
        self._requests.note(f"channel().{operation}")
        self._values[key] = merged(self._values.get(key), operation, key, data)
        self._requests.writes.append((operation, key, data))

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def keys(self) -> list[str]:
        """List the keys, in order."""
        return sorted(self._values)


def _check_key(key: Any) -> None:
    if not isinstance(key, str):
        raise TypeError(f"a key of the channel is a text, not {key!r}")
    if secret := revealed_in(key.encode("utf-8", "surrogatepass")):
        raise TypeError(f"a key of the channel would be stored, and holds the value of Secret({secret!r}): {INSTEAD}")


def merged(before: bytes | None, operation: str, key: str, data: bytes) -> bytes:
    """Give a key's value after a write. Raises `TypeError` if the value before can't be added or appended to.

    >>> from promissory.typesys.canonical import pack, unpack
    >>> unpack(merged(pack(2), "add", "n", pack(3)))
    5
    """
    if operation == "set":
        return data
    held = None if before is None else unpack(before)
    if operation == "add":
        if held is not None and held.__class__ not in (int, float):
            raise TypeError(f"channel().add({key!r}, …): {key!r} holds {_kind_of(held)}, not a number")
        return pack((held or 0) + unpack(data))
    if held is None:
        held = [_LIST, []]
    kind = held[0] if held.__class__ is list and len(held) == 2 else None
    if kind != _LIST:
        raise TypeError(f"channel().append({key!r}, …): {key!r} holds {_kind_of(held)}, not a list")
    return pack([kind, [*held[1], unpack(data)]])


_KINDS: Final = ("list", "tuple", "dict", "set", "frozenset", "a value of a class", "an enum", "a record", "an object")


def _kind_of(tree: Any) -> str:
    """Name the kind of a self-describing tree, without making its value."""
    return _KINDS[tree[0]] if tree.__class__ is list else tree.__class__.__name__
