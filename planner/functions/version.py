"""The meaning of `cache_version="code"`: a digest of a function and of all in the project that it uses, so that a
change of any of it forgets a cached result.

The global names that the code mentions are followed: functions and classes of the author's own files by their source,
tasks and dynamics by their functions, modules of the project by the attributes that are mentioned, and constants by
their value. They are also followed behind `functools.partial` and decorators that keep `__wrapped__`, in lists and
dicts, in the methods and bases of classes. Modules that are imported inside a body are not followed. Libraries are left
out: their versions are the environment's.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from promissory.planner.errors import DecorationError, Where, is_authors
from promissory.planner.functions.identity import Identity, identify
from promissory.planner.plan.model import BY_VALUE_SIZE
from promissory.planner.plan.policy import Policy
from promissory.typesys.canonical import digest, pack
from promissory.typesys.names import qualified_name
from promissory.typesys.self_describing import holds_opaque, lower_any

_DEEPEST = 8
"""The depth to which modules in modules are followed: `package.module.function`."""


def with_code_version(policy: Policy, function: Callable[..., Any], identity: Identity) -> Policy:
    """Give the policy of a cached function as a plan has it.

    Its version names the code where that was asked for, and a closure's captured values in any case (rules R3, A11).

    Raises `DecorationError` for a function whose captured values have no bytes of their own: its equal calls can't be
    told.
    """
    if len(identity.digest) == BY_VALUE_SIZE or (policy.cache_version == "code" and not identity.is_whole):
        code = function.__code__
        raise DecorationError(
            f"{function.__qualname__} can't be cached: it captured something that has no bytes of its own, so "
            "nobody could tell whether two calls are equal",
            where=Where(code.co_filename, code.co_firstlineno),
            way_out="pass it in as an argument, make it in the body, or give a cache_version of your own",
        )
    if policy.cache_version == "code":
        return replace(policy, cache_version=f"code {code_reached(function).hex()}")
    if function.__closure__:
        return replace(policy, cache_version=f"{policy.cache_version} {identity.digest.hex()}")
    return policy


def code_reached(function: Callable[..., Any]) -> bytes:
    """Give a digest of a function's code and of the project's code that it mentions, however far.

    >>> def helper(x): return x + 1
    >>> def caller(x): return helper(x)
    >>> len(code_reached(caller))
    32
    """
    found: set[tuple[str, bytes]] = set()
    todo: list[tuple[str, Any]] = [("", function)]
    # Keep visited objects alive: `id()` of a freed object may be reused.
    seen: dict[int, Any] = {}
    while todo:
        name, value = todo.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value
        inner = list(_parts(value))
        if isinstance(value, types.FunctionType):
            if is_authors(value.__code__.co_filename):
                found.add((qualified_name(value), _identity(value)))
                todo += _mentioned(value)
        elif isinstance(value, type):
            if (text := _class_text(value)) is not None:
                found.add((qualified_name(value), digest("code", text.encode())))
                todo += inner
        elif inner:
            todo += inner
        elif not callable(value) and not isinstance(value, types.ModuleType):
            found.add((name, _constant(value)))
    return digest("code", pack([[name, told] for name, told in sorted(found)]))


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Give the parts of a value in which functions may be."""
    from promissory.planner.functions.entity import Entity

    if isinstance(value, Entity):
        yield "", value.function
    elif isinstance(value, functools.partial):
        yield from (("", one) for one in (value.func, *value.args, *value.keywords.values()))
    elif isinstance(value, property):
        yield from (("", one) for one in (value.fget, value.fset, value.fdel) if one is not None)
    elif isinstance(value, staticmethod | classmethod | types.MethodType):
        yield "", value.__func__
    elif isinstance(value, type):
        yield from (
            (name, one)
            for name, one in vars(value).items()
            if callable(one) or isinstance(one, property | staticmethod | classmethod)
        )
        yield from (("", base) for base in value.__bases__)
    elif isinstance(value, dict):
        if any(callable(one) for one in value.values()):
            yield from ((str(key), one) for key, one in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        if any(callable(one) for one in value):
            yield from ((str(index), one) for index, one in enumerate(value))
    # `functools.lru_cache` and its like keep the function so.
    elif not isinstance(value, types.FunctionType) and hasattr(value, "__wrapped__"):
        yield "", value.__wrapped__


def _identity(function: types.FunctionType) -> bytes:
    """Give the digest of a function's source.

    A function without source of its own (a lambda) has the digest of its code, which another Python makes anew.
    """
    identity = identify(function).digest
    return identity if len(identity) != BY_VALUE_SIZE else digest("code", _compiled(function.__code__))


def _compiled(code: types.CodeType) -> bytes:
    constants = b"".join(
        _compiled(one) if isinstance(one, types.CodeType) else repr(one).encode() for one in code.co_consts
    )
    return code.co_code + constants + repr(code.co_names).encode()


def _mentioned(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Give the values of the module's names that a function's code mentions, and of the modules that those name."""
    names = set(_names(function.__code__))
    where = qualified_name(function)
    for name in sorted(names & function.__globals__.keys()):
        yield from _of_modules(f"{where} uses {name}", function.__globals__[name], names, 0)
    for cell in function.__closure__ or ():
        try:
            yield f"{where} captured", cell.cell_contents
        # The variable is not assigned yet.
        except ValueError:
            continue


def _of_modules(said: str, value: Any, names: set[str], depth: int) -> Iterator[tuple[str, Any]]:
    """Give a value, or, of a module of the project, the attributes that are mentioned."""
    if not isinstance(value, types.ModuleType):
        yield said, value
    elif is_authors(getattr(value, "__file__", None) or "<frozen>") and depth < _DEEPEST:
        for name in sorted(names):
            if hasattr(value, name):
                yield from _of_modules(f"{said}.{name}", getattr(value, name), names, depth + 1)


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _class_text(value: type) -> str | None:
    """Give a class of the project as text, without comments and layout. None for any other class."""
    try:
        if not is_authors(inspect.getfile(value)):
            return None
        return ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(value))))
    except (OSError, TypeError, SyntaxError):
        return None


def _constant(value: Any) -> bytes:
    try:
        tree = lower_any(value)
    # A constant without wire form adds nothing to the digest.
    except Exception:
        return b""
    return b"" if holds_opaque(tree) else digest("code", pack(tree))
