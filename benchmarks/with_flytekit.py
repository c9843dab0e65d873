"""The workloads on flytekit, as its documentation writes them: local execution in this process, which keeps nothing."""

from __future__ import annotations

import logging
import os
import sys
from collections import OrderedDict
from collections.abc import Iterator
from importlib.metadata import version

os.environ.setdefault("FLYTE_SDK_LOGGING_LEVEL", "50")

from flytekit import dynamic, task, workflow
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.tools.translator import get_serializable

from benchmarks.clock import Measure, measure
from benchmarks.ours import calls

SYSTEM = f"flytekit {version('flytekit')}"
COUNT = 1_000


@task
def inc(x: int) -> int:
    return x + 1


@task
def add(a: int, b: int) -> int:
    return a + b


@dynamic
def fib(n: int) -> int:
    if n < 2:
        return n
    return add(a=fib(n=n - 1), b=fib(n=n - 2))


@workflow
def wide(x: int) -> list[int]:
    return [inc(x=x) for _ in range(COUNT)]


def build():
    @workflow
    def chain(x: int) -> int:
        for _ in range(COUNT):
            x = inc(x=x)
        return x

    chain.compile()
    return chain


def serialise() -> bytes:
    settings = SerializationSettings(ImageConfig(Image("main", "image", "tag")), "project", "domain", "version", env={})
    return get_serializable(OrderedDict(), settings, build()).to_flyte_idl().SerializeToString()


def measures() -> Iterator[Measure]:
    """Every workload."""
    logging.disable(logging.ERROR)
    sys.setrecursionlimit(100_000)
    chain = build()
    yield measure("compile", SYSTEM, "node", COUNT, build)
    size = len(serialise()) / COUNT
    yield measure("compile to bytes", SYSTEM, "node", COUNT, serialise, note=f"{size:.1f} bytes a node")
    yield measure("chain", SYSTEM, "task", COUNT, lambda: chain(x=0), warm_up=False, note="nothing kept")
    yield measure("independent", SYSTEM, "task", COUNT, lambda: wide(x=0), warm_up=False, note="nothing kept")
    yield measure("fib", SYSTEM, "call", calls(8), lambda: fib(n=8), warm_up=False, note="nothing kept")
    logging.disable(logging.NOTSET)
