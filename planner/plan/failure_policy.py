"""FailurePolicy: what goes on in a workflow one of whose nodes failed."""

from __future__ import annotations

import enum


class FailurePolicy(enum.Enum):
    """What still starts in a workflow when a node of it failed and nothing handles that (rule X6).

    FAIL_IMMEDIATELY: nothing new; what runs may finish. FAIL_AFTER_EXECUTABLE_NODES_COMPLETE: everything that does not depend on what failed.
    """

    FAIL_IMMEDIATELY = "fail immediately"
    FAIL_AFTER_EXECUTABLE_NODES_COMPLETE = "fail after executable nodes complete"
