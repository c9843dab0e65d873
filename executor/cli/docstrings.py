"""What a docstring says of each parameter, for the help of a workflow's options: in the style of Google, of numpy, or
as reStructuredText fields."""

from __future__ import annotations

import inspect
import re
from typing import Final

_SECTION: Final = re.compile(r"(args|arguments|parameters|params|inputs)\s*:?", re.IGNORECASE)
_GOOGLE: Final = re.compile(r"(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
_NUMPY: Final = re.compile(r"(\w+)\s*(?::.*)?")
_FIELD: Final = re.compile(r":param\s+(?:[^:]*\s)?(\w+)\s*:\s*(.*)")


def described(docstring: str) -> tuple[str, dict[str, str]]:
    """The docstring without its sections and fields, and what it says of each parameter.

    >>> described("Sum up.\\n\\nArgs:\\n    n: how many,\\n        at least 1.\\n    x (int): from where.")
    ('Sum up.', {'n': 'how many, at least 1.', 'x': 'from where.'})
    >>> described(":param int n: how many")
    ('', {'n': 'how many'})
    """
    lines = inspect.cleandoc(docstring).splitlines()
    text: list[str] = []
    found: dict[str, list[str]] = {}
    section: str | None = None
    name: str | None = None
    depth = 0
    for number, line in enumerate(lines):
        below = lines[number + 1] if number + 1 < len(lines) else ""
        head = line.strip()
        indent = len(line) - len(line.lstrip())
        if field := _FIELD.fullmatch(head):
            section, name = "field", field[1]
            found[name] = [field[2]]
        elif head and indent == 0 and _is_heading(head, below):
            section, name = ("own" if _SECTION.fullmatch(head) else "other"), None
            if section == "own" and below.strip("-= ") == "" and below.strip():
                section = "numpy"
        elif section == "numpy":
            if head.strip("-=") and indent == 0 and (one := _NUMPY.fullmatch(head)):
                name = one[1]
                found[name] = []
            elif name is not None and head.strip("-="):
                found[name].append(head)
        elif section == "own" and head:
            one = _GOOGLE.fullmatch(head)
            if one and (name is None or indent <= depth):
                name, depth = one[1], indent
                found[name] = [one[2]]
            elif name is not None:
                found[name].append(head)
        elif section == "field" and name is not None and head and indent:
            found[name].append(head)
        elif section is None or (section == "field" and not indent):
            text.append(line)
    return "\n".join(text).strip(), {name: " ".join(said).strip() for name, said in found.items()}


def _is_heading(head: str, below: str) -> bool:
    """Whether a line begins a section: `Args:`, `Returns:`, or a word above a line of dashes."""
    is_underlined = bool(below.strip()) and not below.strip().strip("-=")
    return is_underlined or bool(re.fullmatch(r"[A-Z][A-Za-z ]*:", head))
