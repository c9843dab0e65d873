"""Three layers find a mistake: a type checker (P5), the compile (P3), the run (P4). Each finds what the table says.

The programs are in `wrong_programs.py`; the page `docs/reference/layers.md` shows the same table.
"""

import importlib
import importlib.util
import re
import subprocess
import sys
import textwrap
from itertools import groupby
from pathlib import Path

import pytest

import promissory
from promissory import errors


def loaded(name):
    """A module beside this one, known under its name, as an import would have it."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


programs = loaded("wrong_programs")
PROGRAMS, HEAD, PARTS = programs.PROGRAMS, programs.HEAD, programs.PARTS
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "layers.md"
NAMES = {f"wrong_{number}": program for number, program in enumerate(PROGRAMS)}
OTHERS = {"ValueError", "TypeError", "ValidationError"}
"""The errors that are not ours: of Python's own unpacking and calls, and of pydantic."""


def source_of(program):
    """The text of its module."""
    return f"{HEAD}\n{textwrap.dedent(program.source)}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with all programs, whose modules are imported from there and forgotten afterwards."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "parts.py").write_text(textwrap.dedent(PARTS), encoding="utf-8")
    for name, program in NAMES.items():
        (folder / f"{name}.py").write_text(source_of(program), encoding="utf-8")
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield folder
    sys.path.remove(str(folder))
    for name in ("parts", *NAMES):
        sys.modules.pop(name, None)


def layers(name):
    """The classes of the errors of compile and run; empty where there is none, or the run is not reached."""
    try:
        module = importlib.import_module(name)
        promissory.compile(module.main)
    except Exception as error:
        return type(error).__name__, ""
    try:
        promissory.run(module.main, getattr(module, "inputs", {}), store=f"memory://{name}", engine="inline").result
    except errors.RunFailed as error:
        return "", type(error.__cause__).__name__
    except Exception as error:
        return "", type(error).__name__
    return "", ""


@pytest.mark.parametrize("name", NAMES, ids=[program.mistake for program in PROGRAMS])
def test_P3_compile_and_run_find_what_the_table_says(folder, name):
    program = NAMES[name]
    for library in ("numpy", "pydantic"):
        if f"import {library}" in program.source or f"from {library}" in program.source:
            pytest.importorskip(library)
    assert layers(name) == (program.compiled, program.ran)


@pytest.mark.full
def test_P5_a_type_checker_finds_what_the_table_says(folder):
    for library in ("mypy", "numpy", "pydantic"):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed for this Python")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-warn-unused-ignores", "--no-error-summary"]
    command += ["--follow-imports=silent", "--config-file="]
    files = sorted(map(str, folder.glob("*.py")))
    ran = subprocess.run([*command, *files], capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode in (0, 1), ran.stderr
    reported = {}
    for line in ran.stdout.splitlines():
        file, number, kind, _ = line.split(":", 3)
        if kind.strip() == "error":
            reported.setdefault(Path(file).stem, set()).add(int(number))
    marked = {name: wrong_lines(program) for name, program in NAMES.items() if program.checked}
    assert reported == marked


def wrong_lines(program):
    """The numbers of the lines that a type checker refuses."""
    lines = source_of(program).splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}


def test_P3_each_program_is_named_once_and_has_a_line_that_is_wrong_if_a_checker_refuses_it():
    assert len({program.mistake for program in PROGRAMS}) == len(PROGRAMS) >= 50
    assert all(bool(wrong_lines(program)) == program.checked for program in PROGRAMS)
    assert not any(program.compiled and program.ran for program in PROGRAMS)


def test_P3_errors_are_our_own_but_for_three_of_python_and_pydantic():
    named = {name for program in PROGRAMS for name in (program.compiled, program.ran) if name}
    assert named - set(errors.__all__) <= OTHERS


def as_page():
    """The tables of the page, as the programs say them."""
    said = []
    for section, rows in groupby(PROGRAMS, key=lambda program: program.section):
        said += ["", f"## {section}", "", "| mistake | type checker | compile | run |", "|---|---|---|---|"]
        for one in rows:
            ran = "·" if one.compiled else f"`{one.ran}`" if one.ran else "–"
            compiled = f"`{one.compiled}`" if one.compiled else "–"
            mistake = one.mistake.replace("|", "\\|")
            said.append(f"| {mistake} | {'refuses' if one.checked else '–'} | {compiled} | {ran} |")
    return "\n".join(said).strip()


def test_P3_the_page_shows_the_table_as_it_is():
    text = PAGE.read_text(encoding="utf-8")
    assert text[re.search(r"^## ", text, re.MULTILINE).start() :].strip() == as_page()


def test_P3_the_numbers_of_the_page_are_those_of_the_table():
    checked = sum(program.checked for program in PROGRAMS)
    compiled = sum(bool(program.compiled) for program in PROGRAMS)
    ran = sum(bool(program.ran) for program in PROGRAMS)
    left = sum(not (program.checked or program.compiled or program.ran) for program in PROGRAMS)
    said = (
        f"Of {len(PROGRAMS)} mistakes a type checker finds {checked}, the compile {compiled}, the run {ran}, "
        f"and nothing finds {left}."
    )
    assert said in PAGE.read_text(encoding="utf-8")
