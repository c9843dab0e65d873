"""NodeFailure: the account of a failed node that a handler gets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from promissory.typesys.infer import Inference
from promissory.typesys.types import Type
from promissory.typesys.wire import Codec, codec_for


@dataclass(frozen=True)
class NodeFailure:
    """The failure of a node for good, as a handler gets it for its parameter `err` (rules X6, X9).

    Attributes:
        path: the node's path in the run.
        type: the name of the exception's class; `UPSTREAM_FAILED` if a node before this one failed.
        message: the text of the exception.
        traceback: the place where the exception was raised, as text.
        attempt: the number of the attempt that failed, from 1.

    >>> NodeFailure("main/fetch", "OSError", "no route to host")
    NodeFailure(path='main/fetch', type='OSError', message='no route to host', traceback='', attempt=1)
    """

    path: str
    type: str
    message: str
    traceback: str = ""
    attempt: int = 1


@cache
def _inferred() -> tuple[Type, Codec]:
    inference = Inference()
    type = inference.infer(NodeFailure)
    return type, codec_for(type, inference.classes)


def failure_type() -> Type:
    """Give the wire type of a `NodeFailure`."""
    return _inferred()[0]


def failure_bytes(failure: NodeFailure) -> bytes:
    """Encode a failure as a value."""
    return _inferred()[1].encode(failure)
