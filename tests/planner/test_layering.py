"""The floors: an import only ever goes down, importing the planner is light, and what is public is pinned."""

import difflib
import inspect
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import promissory

ROOT = Path(__file__).parents[2]
SURFACE = ROOT / "tests" / "public_surface.txt"
PACKAGES = (
    "promissory",
    "promissory.errors",
    "promissory.testing",
    "promissory.typesys",
    "promissory.planner",
    "promissory.executor",
)
LIGHT = ("promissory", "promissory.typesys", "promissory.planner", "promissory.errors")
HEAVY = ("fsspec", "rich", "click", "typeguard", "cloudpickle", "numpy", "pandas")


def test_an_import_only_ever_goes_down_a_floor():
    if find_spec("importlinter") is None:
        pytest.skip("import-linter is not installed for this Python")
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("package", LIGHT)
def test_importing_a_floor_loads_nothing_heavy(package):
    code = (
        f"import sys, {package}; print(sorted({{name.partition('.')[0] for name in sys.modules}} & "
        f"set({HEAVY!r})), any(name.startswith('promissory.executor.') and name != 'promissory.executor.errors' "
        "for name in sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.strip() == "[] False"


def test_compiling_a_plan_loads_nothing_heavy(tmp_path):
    source = (
        "from promissory import task, workflow\n"
        "@task\n"
        "def inc(x: int) -> int:\n"
        "    return x\n"
        "@workflow\n"
        "def flow(x: int) -> list[int]:\n"
        "    return [inc(x), 2]\n"
    )
    (tmp_path / "light_flow.py").write_text(
        source + f"flow.compile().to_bytes(); import sys; print([n for n in {HEAVY!r} if n in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "light_flow.py"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert ran.stdout.strip() == "[]"


def surface(package: str) -> str:
    """The public names of a package, with the signatures of functions, and of the public methods of classes."""
    module = import_module(package)
    lines = [f"# {package}"]
    for name in sorted(module.__all__):
        if package != "promissory" and name in promissory.__all__:
            lines.append(f"{name}: promissory's")
            continue
        thing = getattr(module, name)
        if inspect.isclass(thing):
            lines += [f"class {name}{_bases(thing)}", *(f"    {line}" for line in _members(thing))]
        elif callable(thing) and hasattr(thing, "__code__"):
            lines.append(f"def {name}{_signature(thing)}")
        else:
            lines.append(name)
    return "\n".join(lines) + "\n"


def _bases(cls: type) -> str:
    names = [base.__name__ for base in cls.__bases__ if base is not object]
    return f"({', '.join(names)})" if names else ""


def _members(cls: type) -> list[str]:
    lines = [f"def __init__{_signature(cls.__init__)}"] if "__init__" in vars(cls) else []
    fields = [
        f"{name}: {_text(annotation)}"
        for name, annotation in inspect.get_annotations(cls).items()
        if not name.startswith("_")
    ]
    methods = []
    for name in sorted(vars(cls)):
        member = inspect.getattr_static(cls, name)
        if name.startswith("_") and name != "__call__":
            continue
        if isinstance(member, property):
            methods.append(f"property {name}")
        elif isinstance(member, classmethod | staticmethod):
            methods.append(f"{type(member).__name__} {name}{_signature(member.__func__)}")
        elif inspect.isfunction(member):
            methods.append(f"def {name}{_signature(member)}")
    return lines + fields + methods


def _text(annotation: object) -> str:
    return (
        annotation
        if isinstance(annotation, str)
        else annotation.__name__
        if type(annotation) is type
        else str(annotation)
    )


def _signature(function: object) -> str:
    signature = inspect.signature(function)
    parts, starred = [], False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            parts.append("*")
        starred = starred or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        text = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "") + parameter.name
        text += f": {_text(parameter.annotation)}" if parameter.annotation is not parameter.empty else ""
        if parameter.default is not parameter.empty:
            text += " = " + (repr(parameter.default) if isinstance(parameter.default, bool | int | str | None) else "…")
        parts.append(text)
        if parameter.kind is parameter.POSITIONAL_ONLY:
            parts = [*[part for part in parts if part != "/"], "/"]
    result = "" if signature.return_annotation is signature.empty else f" -> {_text(signature.return_annotation)}"
    return f"({', '.join(parts)}){result}"


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_public_is_what_the_golden_file_says(package):
    """Written anew by running this file: a change here is a change that users see."""
    pinned = {
        part.splitlines()[0]: part
        for part in ("# " + rest for rest in SURFACE.read_text(encoding="utf-8").split("# ")[1:])
    }
    expected = pinned.get(f"# {package}", "").rstrip("\n") + "\n"
    assert (
        "\n".join(
            difflib.unified_diff(expected.splitlines(), surface(package).splitlines(), "pinned", "found", lineterm="")
        )
        == ""
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_function_and_class_has_a_docstring(package):
    module = import_module(package)
    described = [
        name
        for name in module.__all__
        if inspect.isclass(getattr(module, name)) or inspect.isfunction(getattr(module, name))
    ]
    assert [name for name in described if not (getattr(module, name).__doc__ or "").strip()] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_in_all_is_there_and_sorted(package):
    module = import_module(package)
    assert module.__all__ == sorted(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


if __name__ == "__main__":
    SURFACE.write_text("\n".join(map(surface, PACKAGES)), encoding="utf-8")
