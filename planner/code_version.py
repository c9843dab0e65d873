"""What `cache_version="code"` stands for: a digest of a function and of all in the project that it uses, so that a cached result is forgotten when any of it changes.

Followed are the global names that the code mentions: functions and classes of the author's own files by their source, tasks and dynamics by their functions, modules of
the project by the attributes that are mentioned, and constants by their value. Libraries are left out: their versions are the environment's.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from planner.code import code_identity
from planner.errors import DecorationError, Where, is_authors
from planner.plan import BY_VALUE_SIZE
from planner.policy import Policy
from typesys.canonical import digest, pack
from typesys.names import qualified_name
from typesys.self_describing import holds_opaque, lower_any

_CONSTANTS = (int, str, float, bytes, bool, complex, type(None), tuple, frozenset, list, dict, set)


def with_code_version(policy: Policy, function: Callable[..., Any], identity: bytes) -> Policy:
    """The policy of a cached function as a plan has it: its version names the code where that was asked for, and what a closure captured in any case (rules R3, A11).

    Raises `DecorationError` for a function that captured what has no bytes of its own: equal calls of it can't be told.
    """
    if len(identity) == BY_VALUE_SIZE:
        code = function.__code__
        raise DecorationError(
            f"{function.__qualname__} can't be cached: it captured something that has no bytes of its own, so nobody could tell whether two calls are equal",
            where=Where(code.co_filename, code.co_firstlineno),
            way_out="pass it in as an argument, or make it in the body",
        )
    if policy.cache_version == "code":
        return replace(policy, cache_version=f"code {code_reached(function).hex()}")
    if function.__closure__:
        return replace(policy, cache_version=f"{policy.cache_version} {identity.hex()}")
    return policy


def code_reached(function: Callable[..., Any]) -> bytes:
    """A digest of a function's code and of the project's code that it mentions, however far.

    >>> def helper(x): return x + 1
    >>> def caller(x): return helper(x)
    >>> len(code_reached(caller))
    32
    """
    found: dict[str, bytes] = {}
    todo: list[types.FunctionType] = [_function_of(function)]
    while todo:
        one = todo.pop()
        name = qualified_name(one)
        if name in found:
            continue
        found[name] = code_identity(one)
        for mentioned, value in _mentioned(one):
            inner = _function_of(value)
            if isinstance(inner, types.FunctionType):
                if is_authors(inner.__code__.co_filename):
                    todo.append(inner)
            elif isinstance(value, type):
                found.update(_class_source(value))
                todo += [method for method in vars(value).values() if isinstance(method, types.FunctionType) and is_authors(method.__code__.co_filename)]
            elif isinstance(value, _CONSTANTS):
                found[f"{name} uses {mentioned}"] = _constant(value)
    return digest("code", pack([[name, identity if len(identity) != BY_VALUE_SIZE else b""] for name, identity in sorted(found.items())]))


def _function_of(value: Any) -> Any:
    from planner.entity import Entity

    return value.function if isinstance(value, Entity) else value


def _mentioned(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function's code mentions of its module's names, and of modules that those name."""
    names = set(_names(function.__code__))
    for name in sorted(names & function.__globals__.keys()):
        value = function.__globals__[name]
        if isinstance(value, types.ModuleType):
            if is_authors(getattr(value, "__file__", None) or "<frozen>"):
                yield from ((f"{name}.{inner}", getattr(value, inner)) for inner in sorted(names) if hasattr(value, inner))
        else:
            yield name, value
    for cell in function.__closure__ or ():
        try:
            yield "(captured)", cell.cell_contents
        except ValueError:  # not assigned yet
            continue


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _class_source(value: type) -> dict[str, bytes]:
    try:
        if not is_authors(inspect.getfile(value)):
            return {}
        text = inspect.getsource(value)
    except (OSError, TypeError):
        return {}
    return {qualified_name(value): digest("code", text.encode())}


def _constant(value: Any) -> bytes:
    try:
        tree = lower_any(value)
    except Exception:  # something in it has no wire form: it is told by nothing
        return b""
    return b"" if holds_opaque(tree) else digest("code", pack(tree))
