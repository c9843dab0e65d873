"""The identity of code: the name and digest by which a plan names a function, and a worker finds it again.

A callee is named `module:qualname` and known by a digest (rule A11). The digest is taken over the tokens of the
function's source from `def` on, with comments, layout and docstring dropped, and over the captured values: defaults and
closure cells, by their canonical bytes. Tokens are used, not the syntax tree or the bytecode, because both of those
differ between Python versions. An f-string is one lexeme, its source text, because tokenizers differ in how they take
it apart.

A function that captured something without canonical bytes (an open file, a lock) has no digest. It is known by a random
token, in this process only.
"""

from __future__ import annotations

import inspect
import io
import secrets
import token
import tokenize
import types
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from promissory.planner.errors import CompileError, PromiseError, Where
from promissory.planner.functions import source
from promissory.planner.functions.plain import HoldsPromise, is_plain
from promissory.planner.plan.model import BY_VALUE_SIZE
from promissory.typesys.canonical import digest, pack
from promissory.typesys.names import module_name, qualified_name
from promissory.typesys.self_describing import holds_opaque, lower_any

_LAYOUT: Final = frozenset((token.COMMENT, token.NL, token.ENCODING, token.ENDMARKER, token.TYPE_COMMENT))
_OPENS_STRING: Final = frozenset(
    getattr(token, name) for name in ("FSTRING_START", "TSTRING_START") if hasattr(token, name)
)
_CLOSES_STRING: Final = frozenset(
    getattr(token, name) for name in ("FSTRING_END", "TSTRING_END") if hasattr(token, name)
)
_KINDS: Final = {
    token.NAME: 0,
    token.NUMBER: 1,
    token.STRING: 2,
    token.OP: 3,
    token.NEWLINE: 4,
    token.INDENT: 5,
    token.DEDENT: 6,
}


class _NoCanonicalBytes(Exception):
    """A captured value has no bytes of its own."""


class Identity(NamedTuple):
    """The identity of a function.

    Attributes:
        digest: of its code, or a random token if it has none.
        is_whole: whether each captured value counts; of a function that counts by name, a value without canonical bytes
            (a lock, a logger) counts by its class alone.
        by_class: those values, as a person is told of them.
    """

    digest: bytes
    is_whole: bool
    by_class: tuple[str, ...] = ()


def identify(function: Callable[..., Any], by_name: bool = False) -> Identity:
    """Give the identity of a function. Pickles nothing, and runs no code of the values that it captured.

    Args:
        by_name: whether an import gives this very function, so that a process that runs it has the captured values too.

    >>> def twice(x): return x * 2  # a comment
    >>> def same(x):
    ...     '''With a docstring.'''
    ...     return x*2
    >>> len(identify(twice).digest)
    32
    """
    digester = _Digester(by_name)
    try:
        return Identity(digester.digest(function), digester.is_whole, tuple(digester.by_class))
    except _NoCanonicalBytes:
        return Identity(secrets.token_bytes(BY_VALUE_SIZE), False)


class _Digester:
    """A digester digests a function with its captured values.

    Each function met is digested once, unless a recursion runs through it.
    """

    def __init__(self, by_name: bool) -> None:
        self.is_whole = True
        self.by_class: dict[str, None] = {}
        self._by_name = by_name
        self._inside: list[Any] = []
        self._known: dict[int, bytes] = {}
        self._outermost_recursion = 0

    def digest(self, function: Callable[..., Any]) -> bytes:
        known = self._known.get(id(function))
        if known is not None:
            return known
        text = source_of(function)
        if text is None or function.__name__ == "<lambda>":
            # A lambda's own text can't be told from its line's.
            raise _NoCanonicalBytes
        depth = len(self._inside)
        self._inside.append(function)
        self._outermost_recursion = depth + 1
        captured = [[name, self._counted(name, value)] for name, value in _captures(function)]
        self._inside.pop()
        lexemes = [[kind, text] for kind, text in significant_lexemes(text)]
        made = digest("code", pack([lexemes, captured]))
        if self._outermost_recursion > depth:
            self._known[id(function)] = made
        return made

    def _counted(self, name: str, value: Any) -> bytes:
        """Give the bytes by which a captured value counts. Raises `_NoCanonicalBytes`, `PromiseError`."""
        try:
            return self._captured(value)
        except HoldsPromise as held:
            code = self._inside[-1].__code__
            within = "" if held.promise is value else ", inside something"
            raise PromiseError(
                f"{self._inside[0].__name__}() captured the promise {name} of {held.promise._said()}{within}",
                where=Where(code.co_filename, code.co_firstlineno),
                way_out="pass it as an argument",
            ) from None
        except _NoCanonicalBytes:
            if not self._by_name:
                raise
            self.is_whole = False
            kind = type(value)
            module, qualname = (type.__getattribute__(kind, part) for part in ("__module__", "__qualname__"))
            self.by_class[f"{name}, a {module}.{qualname}"] = None
            return pack(["class", module, qualname])

    def _captured(self, value: Any) -> bytes:
        """Give the canonical bytes of a captured value. Raises `_NoCanonicalBytes`, `HoldsPromise`."""
        from promissory.planner.functions.entity import Entity

        kind = type(value)  # an object's `__class__` may be its author's code
        function = value.function if issubclass(kind, Entity) else value
        for depth, outer in enumerate(self._inside):
            if function is outer:
                self._outermost_recursion = min(self._outermost_recursion, depth)
                return pack(["recursive", len(self._inside) - depth])
        if type(function) is types.FunctionType:
            return pack(["function", self.digest(function)])
        if issubclass(kind, types.ModuleType):
            return pack(["module", module_name(value.__name__)])
        if issubclass(kind, type | types.BuiltinFunctionType):
            name = qualified_name(value)
            if "<locals>" in name:
                # A function makes this class, so one name may be many classes.
                raise _NoCanonicalBytes
            return pack(["named", name])
        if not is_plain(value):
            raise _NoCanonicalBytes
        try:
            tree = lower_any(value)
            if holds_opaque(tree):
                raise _NoCanonicalBytes
            return pack(["value", tree])
        except CompileError:
            raise
        except Exception as error:
            raise _NoCanonicalBytes from error


def source_of(function: Callable[..., Any]) -> str | None:
    """Give the function's source from its first decorator on, to the end of the file."""
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    lines = source.lines(function) if isinstance(function, types.FunctionType) else []
    if not lines:
        try:
            return inspect.getsource(function)
        except (OSError, TypeError):
            return None
    return "".join(lines[code.co_firstlineno - 1 :])


def significant_lexemes(source: str) -> Iterator[tuple[int, str]]:
    """Give (kind, text) of each lexeme of the first function in a source, from `def` to the end of its body.

    Comments, blank lines, the width of indentation and the docstring are dropped; an f-string is one lexeme.

    >>> [text for _, text in significant_lexemes("@task\\ndef f(a):\\n    'Doc.'\\n    return f'{a}!'  # now\\n")]
    ['def', 'f', '(', 'a', ')', ':', '', '', 'return', "f'{a}!'", '', '']
    """
    return _without_docstring(_body(_from_def(_whole_strings(source))))


def _whole_strings(source: str) -> Iterator[tuple[int, str]]:
    lines = io.StringIO(source).readlines()  # `readlines` splits where the tokenizer does.
    opened: list[tuple[int, int]] = []
    try:
        for item in tokenize.generate_tokens(io.StringIO(source).readline):
            if item.type in _OPENS_STRING:
                opened.append(item.start)
            elif item.type in _CLOSES_STRING:
                start = opened.pop()
                if not opened:
                    yield _KINDS[token.STRING], _slice(lines, start, item.end)
            elif not opened and item.type not in _LAYOUT:
                kind = _KINDS.get(item.type, 3)
                yield kind, item.string if kind < 4 else ""
    except (tokenize.TokenError, IndentationError, SyntaxError):
        # The source behind the function may be cut off.
        return


def _slice(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    (first, left), (last, right) = start, end
    if first == last:
        return lines[first - 1][left:right]
    return "".join((lines[first - 1][left:], *lines[first : last - 1], lines[last - 1][:right]))


def _from_def(lexemes: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    depth = 0
    for kind, text in lexemes:
        if kind == 3:
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(text, 0)
        if kind == 0 and depth == 0 and text in ("def", "async"):
            yield kind, text
            break
    yield from lexemes


def _body(lexemes: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    depth, brackets, header_done = 0, 0, False
    for kind, text in lexemes:
        yield kind, text
        if kind == 3:
            brackets += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(text, 0)
            header_done = header_done or (text == ":" and brackets == 0)
        depth += (kind == 5) - (kind == 6)
        if kind == 6 and depth == 0:
            return
        if kind == 4 and depth == 0 and header_done:
            following = next(lexemes, None)
            if following is None or following[0] != 5:
                # The body stands on the line of its def.
                return
            depth += 1
            yield following


def _without_docstring(lexemes: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    for kind, text in lexemes:
        yield kind, text
        if kind == 5:
            break
    statement: list[tuple[int, str]] = []
    for kind, text in lexemes:
        statement.append((kind, text))
        if kind == 4:
            break
    if not (len(statement) > 1 and all(kind == 2 for kind, _ in statement[:-1])):
        yield from statement
    yield from lexemes


def _captures(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    parameters = function.__code__.co_varnames[: function.__code__.co_argcount]
    defaults = function.__defaults__ or ()
    yield from zip(parameters[len(parameters) - len(defaults) :], defaults, strict=True)
    yield from sorted((function.__kwdefaults__ or {}).items())
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:
            yield name, None  # The variable is not assigned yet.
