"""Self-describing values: payloads of loops, of the channel, of checkpoints.

Processes that must not load pickles read them too.
"""

from __future__ import annotations

from typing import Any, Final

from promissory.typesys.buffer import Parts, Pending
from promissory.typesys.depth import TOO_DEEP
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.secret import INSTEAD, revealed_in, revealed_in_any
from promissory.typesys.self_describing import way_to_opaque
from promissory.typesys.types import ANY
from promissory.typesys.wire import codec_for

_ANY: Final = codec_for(ANY)
_GIVE: Final = "has no wire form: give a dataclass, or what it is made of"


def encoded_payload(value: Any, what: str, parts: Parts | None = None) -> bytes:
    """Encode a value as a self-describing one, with what is large in `parts`, or in its bytes.

    Raises `TypeError` for a value that can only be pickled, and for one that holds the value of a secret which was
    revealed; `what` names the value's use in it.
    """
    large = Pending()  # nothing is kept before it is known that all of it may be
    try:
        tree = _ANY.lowered(value)
        data = _ANY.packed(value, tree, None if parts is None else large)
    except TypeMismatch as mismatch:
        way_out = "" if mismatch.problem == TOO_DEEP else f". It {_GIVE}"
        raise TypeError(f"{what}: {mismatch.at('the value')}{way_out}") from None
    if (found := way_to_opaque(tree, value)) is not None:
        path, name = found
        raise TypeError(f"{what} takes plain data, and {name}{f' at {path}' if path else ''} {_GIVE}")
    if secret := revealed_in(data) or revealed_in_any(large.buffers):
        raise TypeError(f"{what} would be stored, and holds the value of Secret({secret!r}): {INSTEAD}")
    if parts is not None:
        for buffer in large.buffers:
            parts.keep(buffer)
    return data


def decoded_payload(data: bytes, parts: Parts | None = None) -> Any:
    """Decode the value, whose parts lie in `parts`. Each call gives a new object.

    >>> decoded_payload(encoded_payload([1, "a"], "a doctest"))
    [1, 'a']
    """
    return _ANY.decode(data, parts)
