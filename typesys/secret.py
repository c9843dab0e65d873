"""Secrets: only the name travels. Plans, inputs, values and the store hold `Secret("API_TOKEN")`; the value is looked up where it is used, and never written down (rule T4).

Looked up in this order: resolvers that the program registered; the environment; a file of that name in the folder `PROMISSORY_SECRETS` (by default `/run/secrets`, where containers have them).

What was revealed in a process is known to `masked`, so that logs and error messages show stars instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_STARS: Final = "***"
_SHORTEST: Final = 4
"""Fewer characters are not masked: they would turn up everywhere."""

Resolver = Callable[[str], str | None]
_resolvers: list[Resolver] = []
_revealed: dict[str, bytes] = {}
_listeners: list[Callable[[str], None]] = []


class SecretNotFound(LookupError):
    """Nobody here knows the value of a secret."""


class Secret:
    """The name of something that only the worker may know.

    Args:
        name: letters, digits, `_`, `.`, `-`.

    Annotate a parameter with it, give it where the call is made, and ask for its value in the body:

    >>> import os
    >>> from planner import task
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
            shown = repr(name) if isinstance(name, str) and len(name) < 24 else "what was given"
            raise ValueError(f"{shown} can't name a secret: letters, digits, '_', '.' and '-' can. Give the name, never the value")
        self.name = name

    def reveal(self) -> str:
        """The value. Raises `SecretNotFound`."""
        value = _found(self.name)
        if value not in _revealed:
            note_revealed(value)
            for listener in _listeners:
                listener(value)
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
        if value is not None:
            return value
    if name in os.environ:
        return os.environ[name]
    folder = Path(os.environ.get("PROMISSORY_SECRETS") or "/run/secrets")
    try:
        return (folder / name).read_text().rstrip("\n")
    except OSError:
        raise SecretNotFound(
            f"the secret {name} is not known here: set the environment variable {name}, put it into the file {folder / name}, or register a resolver "
            "(typesys.secret.register_resolver)"
        ) from None


def register_resolver(resolver: Resolver) -> None:
    """Have a function asked for secrets before the environment is: it gives the value of a name, or None. Call it in the module of the tasks, so that workers do too."""
    if resolver not in _resolvers:
        _resolvers.append(resolver)


def note_revealed(value: str) -> None:
    """A value is not to be written down by this process from now on."""
    if len(value) >= _SHORTEST:
        _revealed[value] = value.encode("utf-8", "surrogateescape")


def on_reveal(listener: Callable[[str], None]) -> None:
    """Have a function told of each value that is revealed in this process, the first time."""
    _listeners.append(listener)


def masked(text: str) -> str:
    """A text without the values that were revealed in this process.

    >>> masked("nothing to hide")
    'nothing to hide'
    """
    for value in _revealed:
        text = text.replace(value, _STARS)
    return text


def masked_bytes(data: bytes) -> tuple[bytes, bytes]:
    """Bytes without the values that were revealed, and the end of them that may be the beginning of one, to be put before what follows."""
    if not _revealed:
        return data, b""
    for value in _revealed.values():
        data = data.replace(value, _STARS.encode())
    held = max((_overlap(data, value) for value in _revealed.values()), default=0)
    return (data[:-held], data[-held:]) if held else (data, b"")


def holds_secret(data: bytes) -> bool:
    """Whether bytes hold a value that was revealed in this process."""
    return any(value in data for value in _revealed.values())


def _overlap(data: bytes, value: bytes) -> int:
    """How many bytes at the end of data are the beginning of a value."""
    for length in range(min(len(value) - 1, len(data)), 0, -1):
        if data.endswith(value[:length]):
            return length
    return 0
