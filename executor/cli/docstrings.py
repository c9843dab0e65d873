"""What a docstring says of each parameter, for the help of a workflow's options: in the style of Google, of numpy, as
reStructuredText fields, or as epytext fields."""

from __future__ import annotations

import inspect
import re
from typing import Final

_SECTION: Final = re.compile(r"(args|arguments|parameters|params|inputs)\s*:?", re.IGNORECASE)
_GOOGLE: Final = re.compile(r"(\*{0,2}\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
_NUMPY: Final = re.compile(r"(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?")
_FIELD: Final = re.compile(
    r"[:@](?:(?:param|parameter|arg|argument|key|keyword)\s+(?:[^:]*\s)?(?P<name>\w+)|"
    r"(?:type|vartype|returns?|rtype|raises?|except|exception|yields?|meta|var|ivar|cvar)\b[^:]*)\s*:\s*(?P<said>.*)"
)


def described(docstring: str) -> tuple[str, dict[str, str]]:
    """The docstring without its sections and fields, and what it says of each parameter.

    >>> described("Sum up.\\n\\nArgs:\\n    n: how many,\\n        at least 1.\\n    x (int): from where.")
    ('Sum up.', {'n': 'how many, at least 1.', 'x': 'from where.'})
    >>> described(":param int n: how many")
    ('', {'n': 'how many'})
    >>> described("Sum up.\\n\\nParameters\\n----------\\nn, m : int\\n    How many.")
    ('Sum up.', {'n': 'How many.', 'm': 'How many.'})
    """
    lines = inspect.cleandoc(docstring).splitlines()
    text: list[str] = []
    found: dict[str, list[str]] = {}
    section: str | None = None
    names: list[str] = []
    depth = 0
    for number, line in enumerate(lines):
        below = lines[number + 1] if number + 1 < len(lines) else ""
        head = line.strip()
        indent = len(line) - len(line.lstrip())
        if field := _FIELD.fullmatch(head):
            section, names = "field", [field["name"]] if field["name"] else []
            found.update((name, [field["said"]]) for name in names)
        elif head and indent == 0 and _is_heading(head, below):
            section, names = ("own" if _SECTION.fullmatch(head) else "other"), []
            if section == "own" and below.strip("-= ") == "" and below.strip():
                section = "numpy"
        elif section == "numpy":
            if head.strip("-=") and indent == 0 and (one := _NUMPY.fullmatch(head)):
                names = [name.strip(" *") for name in one[1].split(",")]
                found.update((name, []) for name in names)
            elif head.strip("-="):
                _add(found, names, head)
        elif section == "own" and head:
            one = _GOOGLE.fullmatch(head)
            if one and (not names or indent <= depth):
                names, depth = [one[1].strip("*")], indent
                found[names[0]] = [one[2]]
            else:
                _add(found, names, head)
        elif section == "field" and head and indent:
            _add(found, names, head)
        elif section is None or (section == "field" and not indent):
            text.append(line)
    return "\n".join(text).strip(), {name: " ".join(said).strip() for name, said in found.items()}


def _add(found: dict[str, list[str]], names: list[str], line: str) -> None:
    for name in names:
        found[name].append(line)


def _is_heading(head: str, below: str) -> bool:
    """Whether a line begins a section: `Args:`, `Returns:`, or a word above a line of dashes."""
    is_underlined = bool(below.strip()) and not below.strip().strip("-=")
    return is_underlined or bool(re.fullmatch(r"[A-Z][A-Za-z ]*:", head))
