"""NodeFailure: what a handler is told of the node that failed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from promissory.typesys.infer import Inference
from promissory.typesys.types import Type
from promissory.typesys.wire import Codec, codec_for


@dataclass(frozen=True)
class NodeFailure:
    """Why a node failed for good, as a handler gets it for its parameter `err` (rules X6, X9).

    Attributes:
        path: the node's path in the run.
        type: the name of the exception's class, `UPSTREAM_FAILED` if something before it failed.
        message: what the exception said.
        traceback: where it was raised, as text.
        attempt: which attempt it was, from 1.

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
    """The wire type of a `NodeFailure`."""
    return _inferred()[0]


def failure_bytes(failure: NodeFailure) -> bytes:
    """A failure as a value."""
    return _inferred()[1].encode(failure)
