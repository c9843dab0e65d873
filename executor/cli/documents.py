"""Inputs as a document: JSON, or YAML where its library is installed."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any, Final

import click

from promissory.typesys.depth import TOO_DEEP

_INSTALL: Final = "YAML needs PyYAML: pip install 'promissory[yaml]'"
_PLAIN: Final = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    "merge": (r"<<", ["<"]),
}
"""The texts that YAML 1.2 reads as something else than text. Under 1.1 `no` would be a bool, and `12:30` a number."""


def inputs_of_document(given: str) -> dict[str, Any]:
    """Read what `--inputs` was given: JSON or YAML, or the name of a file behind `@`.

    Returns what a JSON object would have given. Raises `click.UsageError`.
    """
    try:
        text = Path(given[1:]).read_text(encoding="utf-8") if given.startswith("@") else given
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise click.UsageError(f"--inputs {given}: {reason or error}") from None
    kind = Path(given[1:]).suffix.lower() if given.startswith("@") else ""
    entries = _yaml(text) if kind in (".yaml", ".yml") else _json_or_yaml(text, kind == ".json")
    if not isinstance(entries, dict):
        raise click.UsageError("--inputs is a JSON object, or a YAML mapping, with an entry an input")
    return entries


def _json_or_yaml(text: str, is_json: bool) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        why = TOO_DEEP if isinstance(error, RecursionError) else f"is not JSON: {error}"
        wrong = click.UsageError(f"--inputs {why}")
        if is_json or not text.strip() or isinstance(error, RecursionError):
            raise wrong from None
    try:
        return _yaml(text)
    except click.UsageError:
        # What begins as JSON was meant as JSON, whose own words say what is wrong.
        if text.lstrip()[:1] in ("{", "["):
            raise wrong from None
        raise


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise click.UsageError(f"--inputs is not JSON. {_INSTALL}") from None

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """PyYAML's own loader, with the scalars of YAML 1.2."""

        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    for tag, (pattern, first) in _PLAIN.items():
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)
    Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: _int(node.value))
    try:
        return _as_json(yaml.load(text, Loader))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise click.UsageError(f"--inputs is not YAML: {' '.join(str(error).split())}") from None


def _int(text: str) -> int:
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _as_json(value: Any) -> Any:
    """Give a value of YAML as JSON would have given it."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else json.dumps(key): _as_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(one) for one in value]
    if isinstance(value, set):
        return sorted(map(_as_json, value), key=repr)
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
