"""The version by which a cached function's results are told from those of other code (rules R3, A11)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from promissory.planner.errors import DecorationError, Where
from promissory.planner.functions.identity import Identity, source_of
from promissory.planner.functions.reach import reach_of
from promissory.planner.plan.model import BY_VALUE_SIZE
from promissory.planner.plan.policy import Policy


def with_code_version(policy: Policy, function: Callable[..., Any], identity: Identity) -> Policy:
    """Give the policy of a cached function as a plan has it.

    Its version names the code where that was asked for, and a closure's captured values in any case (rules R3, A11).

    Raises `DecorationError` for a function whose captured values have no bytes of their own: its equal calls can't be
    told.
    """
    if len(identity.digest) == BY_VALUE_SIZE and source_of(function) is None:
        code = function.__code__
        raise DecorationError(
            f"{function.__qualname__} can't be cached: its source can't be had ({code.co_filename}), so nobody "
            "could tell whether the code of two calls is the same",
            where=Where(code.co_filename, code.co_firstlineno),
            way_out="keep it in a file",
        )
    if len(identity.digest) == BY_VALUE_SIZE or (policy.cache_version == "code" and not identity.is_whole):
        code = function.__code__
        raise DecorationError(
            f"{function.__qualname__} can't be cached: it captured something that has no bytes of its own, so "
            "nobody could tell whether two calls are equal",
            where=Where(code.co_filename, code.co_firstlineno),
            way_out="pass it in as an argument, make it in the body, or give a cache_version of your own",
        )
    if policy.cache_version == "code":
        return replace(policy, cache_version=f"code {reach_of(function).digest.hex()}")
    if function.__closure__:
        return replace(policy, cache_version=f"{policy.cache_version} {identity.digest.hex()}")
    return policy
