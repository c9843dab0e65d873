"""The names of executors: in their beats, in the segments that they write, and in words."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

_NAME_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Seat:
    """An executor's place at one run.

    Attributes:
        executor: the executor's name, 16 hexadecimal digits.
        place: a number, from 1, that no other of the executor's runs has or had.

    >>> Seat.of(Seat("0123456789abcdef", 3).nonce)
    Seat(executor='0123456789abcdef', place=3)
    """

    executor: str
    place: int

    @property
    def nonce(self) -> bytes:
        """The seat as 16 bytes, by which the segments of the run name their writer."""
        return bytes.fromhex(self.executor) + self.place.to_bytes(_NAME_BYTES, "big")

    @classmethod
    def of(cls, nonce: bytes) -> Seat:
        """The seat that a segment names."""
        return cls(nonce[:_NAME_BYTES].hex(), int.from_bytes(nonce[_NAME_BYTES:], "big"))


def in_words(host: str, pid: int, executor: str, since: float) -> str:
    """An executor in words: its process, and, as far as they are known, its name and when it began (seconds since the
    epoch).

    >>> in_words("pear", 42, "", 0.0)
    'process 42 of pear'
    """
    named = [f"executor {executor}"] if executor else []
    with suppress(ValueError, OverflowError, OSError):  # a damaged beat may hold a date that no calendar has
        if since:
            named.append(f"since {datetime.fromtimestamp(since).astimezone().isoformat(timespec='seconds')}")
    return f"process {pid} of {host}" + (f" ({', '.join(named)})" if named else "")
