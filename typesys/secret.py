"""Secrets: only the name travels.

Plans, inputs, values and the store hold `Secret("API_TOKEN")`. The value is looked up where it is used, and never
written down (rule T4).

A value is looked up in this order: resolvers that the program registered; the environment; a file of that name in the
folder `PROMISSORY_SECRETS` (by default `/run/secrets`, where containers have them).

`masked` knows the values that were revealed in its process and in the processes that share its ledger
(`promissory.typesys.ledger`), so that logs and error messages show stars instead.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from promissory.typesys.buffer import Buffer
from promissory.typesys.ledger import LEDGER

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_STARS: Final = "***"
_SHORTEST: Final = 4
"""Values of fewer characters are not masked: they would turn up everywhere."""
_SHORTEST_REFUSED: Final = 8
INSTEAD: Final = "pass the Secret itself, and reveal it where its value is used"

Resolver = Callable[[str], str | None]
_resolvers: list[Resolver] = []
_revealed: set[str] = set()
_forms: dict[str, str] = {}
"""The texts that are not to be written down, with the names of their secrets."""
_hidden: tuple[str, ...] = ()
"""These texts, the longest first. The tuple is replaced, never changed, because other threads look through it."""


class SecretNotFound(LookupError):
    """No resolver, variable or file of this process has the value of a secret, or the value can't be kept out of what
    a run writes down."""


class Secret:
    """The name of a value that only the worker may know.

    Args:
        name: letters, digits, `_`, `.`, `-`.

    Annotate a parameter with it, give it where the call is made, and ask for its value in the body:

    >>> import os
    >>> from promissory import task
    >>> @task
    ... def fetch(url: str, token: Secret) -> int:
    ...     return len(token.reveal())
    >>> os.environ["API_TOKEN"] = "not-to-be-told"
    >>> fetch("https://example.org", Secret("API_TOKEN"))
    14
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(
                "what was given can't name a secret: letters, digits, '_', '.' and '-' can. Give the name, "
                "never the value"
            )
        self.name = name

    def reveal(self) -> str:
        """Give the value. Raises `SecretNotFound`."""
        value = _found(self.name)
        if value not in _revealed:
            _hide(self.name, value)
            try:
                LEDGER.add(self.name, value)
            except OSError as problem:
                raise SecretNotFound(
                    f"the secret {self.name} can't be revealed in this process, since its value could not be kept out "
                    f"of the log ({problem}): reveal it before the body forks, or leave the descriptors of the parent "
                    "open"
                ) from None
            _revealed.add(value)
        return value

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.name == self.name

    def __hash__(self) -> int:
        return hash((Secret, self.name))


def _found(name: str) -> str:
    for resolver in _resolvers:
        value = resolver(name)
        if value is not None and not isinstance(value, str):
            raise TypeError(
                f"the resolver {getattr(resolver, '__qualname__', resolver)} gave {type(value).__name__} for "
                f"the secret {name}, not str"
            )
        if value is not None:
            return value
    if name in os.environ:
        return os.environ[name]
    folder = Path(os.environ.get("PROMISSORY_SECRETS") or "/run/secrets")
    try:
        return (folder / name).read_text().rstrip("\n")
    except UnicodeDecodeError:
        raise SecretNotFound(f"the secret {name} lies in the file {folder / name}, which is no UTF-8 text") from None
    except OSError:
        raise SecretNotFound(
            f"the secret {name} is not known here: set the environment variable {name}, put it into the file "
            f"{folder / name}, or register a resolver "
            "(promissory.typesys.secret.register_resolver)"
        ) from None


def register_resolver(resolver: Resolver) -> None:
    """Register a function that is asked for secrets before the environment is.

    It gives the value of a name, or None. Call this in the module of the tasks, so that workers register it too.
    """
    if resolver not in _resolvers:
        _resolvers.append(resolver)


def _hide(name: str, value: str) -> None:
    """Keep a value from being written down by this process from now on: the value as it is, its forms between the
    quotes of Python and JSON, and any longer line of it."""
    global _hidden
    LEDGER.heard = True
    forms = {value, repr(value)[1:-1], json.dumps(value)[1:-1], *value.splitlines()}
    _forms.update((form, name) for form in forms if len(form) >= _SHORTEST)
    # Another thread may add a value between the copy and the assignment. The thread that assigns last has looked again.
    while len(_hidden) < len(_forms):
        _hidden = tuple(sorted(_forms.copy(), key=len, reverse=True))


def _known() -> tuple[str, ...]:
    """The texts that are not to be written down, those that other processes revealed included."""
    for name, value in LEDGER.news():
        _hide(name, value)
    return _hidden


def masked(text: str) -> str:
    """Replace the values that were revealed by stars.

    >>> masked("nothing to hide")
    'nothing to hide'
    """
    if not _known():
        return text
    return masked_bytes(text.encode("utf-8", "surrogatepass"), ended=True)[0].decode("utf-8", "surrogatepass")


def masked_bytes(data: bytes, ended: bool = False) -> tuple[bytes, bytes]:
    """Mask the values that were revealed.

    Also give the end of the bytes that may be the beginning of a value, to be put before the bytes that follow; nothing
    if the bytes have `ended`.
    """
    hidden = [form.encode("utf-8", "surrogatepass") for form in _known()]
    if not hidden:
        return data, b""
    covered = sorted((at, at + len(form)) for form in hidden for at in _places(data, form))
    end = len(data) if ended else len(data) - max((_overlap(data, form) for form in hidden), default=0)
    found, position = [], 0
    for first, last in covered:
        if first >= end and not ended:
            break
        if first >= position:
            found += [data[position:first], _STARS.encode()]
        # Values that overlap are one place.
        position = max(position, last)
    end = max(end, position)
    return b"".join([*found, data[position:end]]), data[end:]


def without_rest(data: bytes) -> bytes:
    """Drop the beginning of bytes that may be the rest of a value, where the bytes begin in the middle of a text."""
    for form in (form.encode("utf-8", "surrogatepass") for form in _known()):
        for length in range(min(len(form) - 1, len(data)), 0, -1):
            if data.startswith(form[-length:]):
                data = data[length:]
                break
    return data


def holds_secret(data: bytes) -> bool:
    """Tell whether bytes hold a value that was revealed."""
    return any(form.encode("utf-8", "surrogatepass") in data for form in _known())


def revealed_in(data: bytes) -> str:
    """Give the name of a secret whose value stands in bytes that are to be stored; an empty text if there is none.

    Values of fewer than eight characters are words that a program may mean otherwise, and are only masked.
    """
    if not _hidden and not LEDGER.tells[0]:
        return ""
    for form in _known():
        if len(form) >= _SHORTEST_REFUSED and form.encode("utf-8", "surrogatepass") in data:
            return _forms[form]
    return ""


def revealed_in_any(buffers: Iterable[Buffer]) -> str:
    """Give the name of a secret whose value stands in large buffers that are to be stored."""
    if not _hidden and not LEDGER.tells[0]:
        return ""
    return next((name for buffer in buffers if (name := revealed_in(buffer.content()))), "")


def _places(data: bytes, form: bytes) -> Iterator[int]:
    at = data.find(form)
    while at >= 0:
        yield at
        at = data.find(form, at + 1)


def _overlap(data: bytes, form: bytes) -> int:
    """Count the bytes at the end of data that are the beginning of a value."""
    for length in range(min(len(form) - 1, len(data)), 0, -1):
        if data.endswith(form[:length]):
            return length
    return 0
