"""Triggers: the outcomes of the nodes before a node with which it starts (rule X7). Pure.

============== =======================================================================================================
trigger        the node runs if, of the nodes before it,
============== =======================================================================================================
all_success    none failed (the default)
none_failed    none failed
all_done       all have ended, however
any_failed     at least one failed
all_failed     all failed
any_success    at least one succeeded
at_least(n)    at least n succeeded
============== =======================================================================================================

A node that was skipped counts as neither. If its value is wanted, the node that wants the value is skipped too,
whatever its trigger.
"""

from __future__ import annotations

import re
from typing import Any, Final

DEFAULT: Final = "all_success"
TRIGGERS: Final = ("all_success", "all_done", "any_failed", "all_failed", "any_success", "none_failed")
_AT_LEAST: Final = re.compile(r"at_least\((\d{1,9})\)")


def at_least(count: int) -> str:
    """Make the trigger of a node that runs if at least so many nodes before it succeeded.

    Args:
        count: the number of nodes, at least 1.

    Raises:
        ValueError: `count` is no such number.

    >>> at_least(2)
    'at_least(2)'
    """
    if count.__class__ is not int or count < 1:
        raise ValueError(f"at_least(…) takes a whole number of at least 1, not {count!r}")
    return f"at_least({count})"


def check_trigger(trigger: Any) -> None:
    """Raise `ValueError` for a value that is no trigger."""
    if not isinstance(trigger, str) or (trigger not in TRIGGERS and not _least(trigger)):
        raise ValueError(f"trigger is one of {', '.join(TRIGGERS)}, at_least(n), not {trigger!r}")


def _least(trigger: str) -> int:
    match = _AT_LEAST.fullmatch(trigger)
    return 0 if match is None else int(match[1])


def admits_failure(trigger: str) -> bool:
    """Tell whether a node may run although a node before it failed. Such a node handles that failure (rule X6)."""
    return trigger not in ("all_success", "none_failed")


def fewest(trigger: str) -> int:
    """Count the nodes that have to be before a node with this trigger, so that it can ever start.

    >>> fewest("all_success"), fewest("any_failed"), fewest("at_least(3)")
    (0, 1, 3)
    """
    if trigger in ("any_failed", "all_failed", "any_success"):
        return 1
    return _least(trigger)


def verdict(trigger: str, succeeded: int, failed: int, skipped: int) -> str:
    """Decide about a node when all nodes before it have ended: "run", "skip" or "fail" (UPSTREAM_FAILED).

    >>> verdict("any_failed", 2, 1, 0), verdict("any_failed", 3, 0, 0), verdict("at_least(2)", 1, 2, 0)
    ('run', 'skip', 'fail')
    """
    if trigger in ("all_success", "none_failed"):
        met = not failed
    elif trigger == "all_done":
        met = True
    elif trigger == "any_failed":
        met = failed > 0
    elif trigger == "all_failed":
        met = failed > 0 and not succeeded and not skipped
    elif trigger == "any_success":
        met = succeeded > 0
    else:
        met = succeeded >= _least(trigger)
    if met:
        return "run"
    return "skip" if trigger in ("any_failed", "all_failed") or not failed else "fail"
