"""FailurePolicy: the work that goes on in a workflow after a node of it failed."""

from __future__ import annotations

import enum


class FailurePolicy(enum.Enum):
    """The nodes that still start in a workflow after a node failed and nothing handles the failure (rule X6).

    FAIL_IMMEDIATELY: no further node starts; running ones may finish. FAIL_AFTER_EXECUTABLE_NODES_COMPLETE: every node
    starts that does not depend on the failed one.
    """

    FAIL_IMMEDIATELY = "fail immediately"
    FAIL_AFTER_EXECUTABLE_NODES_COMPLETE = "fail after executable nodes complete"
