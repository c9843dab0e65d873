"""Workloads: workflows that tests interrupt. Between them they use every feature that a crash could spoil. A feature
joins every fault test by adding a workload here.

Each body says a label that no other call of its workload has. The label goes to the diary (which survives the process,
if `PROMISSORY_DIARY` names a file) and, as output, to the node's log. So a test knows which bodies began, and which
nodes they belong to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from promissory.executor.testing.growing_workloads import awaited, cycled
from promissory.executor.testing.plain_workloads import (
    cached,
    decided,
    looped,
    mapped,
    nested,
    retried,
    steered,
    waited,
)


@dataclass(frozen=True, slots=True)
class Workload:
    """A workflow that is run and interrupted.

    Attributes:
        name: its subject.
        target: the workflow.
        inputs: the workflow's inputs.
        result: the workflow's result, however often it is interrupted.
        fails: whether nodes of it fail for good, and the workflow handles that.
    """

    name: str
    target: Any
    result: Any
    inputs: Mapping[str, Any] = field(default_factory=dict)
    fails: bool = False


WORKLOADS = (
    Workload("nested", nested, 3 * 4 * 600 * 599 // 2 // 2, {"depth": 2, "size": 600}),
    Workload("retried", retried, 6),
    Workload("cached", cached, 14 + 30 + 14 + 9),
    Workload("looped", looped, 3 + 9 + 81 + 54 + 243),
    Workload("mapped", mapped, 102 + 2 + 106 + 4 + 3, fails=True),
    Workload("steered", steered, 3 + 2),
    Workload("decided", decided, 11 + 5, fails=True),
    Workload("waited", waited, 3),
    Workload("cycled", cycled, 31, fails=True),
    Workload("awaited", awaited, 916, fails=True),
)
"""The workloads of every fault test."""
