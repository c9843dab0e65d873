"""P5: type checkers read workflows as ordinary code.

The samples in `tests/typing` are right but for the lines marked `# error`.
"""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "tests" / "typing").glob("*.py"))
LIBRARIES = {"arrays.py": "pandas-stubs", "models.py": "pydantic"}
"""Samples that import a library: a checker without a cache reads all of it, so they are in the full tier."""

OF_LIBRARIES = [sample for sample in SAMPLES if sample.name in LIBRARIES]
PLAIN = [sample for sample in SAMPLES if sample not in OF_LIBRARIES]


def marked(samples: list[Path]) -> dict[tuple[str, int], str]:
    """(file, line) → what is wrong there, of each line that a checker must refuse."""
    found = {}
    for sample in samples:
        for number, line in enumerate(sample.read_text(encoding="utf-8").splitlines(), 1):
            if "# error: " in line:
                found[sample.name, number] = line.strip()
    return found


def compare(samples: list[Path], reported: dict[tuple[str, int], str]) -> None:
    expected = marked(samples)
    unexpected = [
        f"{file}:{line}: {message}"
        for (file, line), message in sorted(reported.items())
        if (file, line) not in expected
    ]
    accepted = [
        f"{file}:{line}: {text}" for (file, line), text in sorted(expected.items()) if (file, line) not in reported
    ]
    assert (unexpected, accepted) == ([], []), "errors that should not be there, and lines that should have one"


def there(samples: list[Path]) -> list[Path]:
    """The samples whose libraries are installed."""
    return [sample for sample in samples if sample.name not in LIBRARIES or find_spec(LIBRARIES[sample.name])]


def test_P5_the_samples_have_many_inferred_types_and_many_mistakes():
    text = "".join(sample.read_text(encoding="utf-8") for sample in SAMPLES)
    assert text.count("assert_type(") >= 150
    assert len(marked(SAMPLES)) >= 150


@pytest.mark.parametrize(
    "samples",
    [pytest.param(PLAIN, id="plain"), pytest.param(OF_LIBRARIES, id="of libraries", marks=pytest.mark.full)],
)
def test_P5_mypy_reads_the_samples_as_they_are_marked(samples):
    samples = there(samples)
    if find_spec("mypy") is None:
        pytest.skip("mypy is not installed for this Python")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-warn-unused-ignores",
        "--no-error-summary",
        "--follow-imports=silent",
    ]
    ran = subprocess.run([*command, "--config-file=", *map(str, samples)], capture_output=True, text=True, cwd=ROOT)
    reported = {}
    for line in ran.stdout.splitlines():
        file, number, kind, message = line.split(":", 3)
        if kind.strip() == "error":
            reported[Path(file).name, int(number)] = message.strip()
    assert ran.returncode in (0, 1), ran.stderr
    compare(samples, reported)


@pytest.mark.full
def test_P5_pyright_reads_the_samples_as_they_are_marked():
    if find_spec("pyright") is None:
        pytest.skip("pyright is not installed for this Python")
    if shutil.which("node") is None:
        pytest.skip("pyright needs node, which is not on the path")
    samples = there(SAMPLES)
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    ran = subprocess.run([*command, *map(str, samples)], capture_output=True, text=True, cwd=ROOT)
    try:
        diagnostics = json.loads(ran.stdout)["generalDiagnostics"]
    except ValueError:
        pytest.skip(f"pyright did not start: {(ran.stderr or ran.stdout)[-200:]}")
    harmless = {"reportUnusedExpression", "reportUnusedCoroutine"}
    reported = {
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1): one["message"]
        for one in diagnostics
        if one["severity"] == "error" and one.get("rule") not in harmless
    }
    compare(samples, reported)
