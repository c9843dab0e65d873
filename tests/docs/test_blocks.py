"""Every code block of the documentation is executed, page by page, in a folder of its own.

``python file=NAME`` writes a file, ``python from=FILE`` quotes a file of the project word by word, ``pycon`` is run as
a doctest, ``console`` runs its commands in a shell and compares what they print (both streams), with the doctest
options ELLIPSIS and NORMALIZE_WHITESPACE. ``sh`` blocks are for a reader's own machine (they install) and are checked
by the continuous integration script.
"""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
BLOCK = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KNOWN = {"python", "pycon", "console", "sh", ""}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for the files of a page, from which its modules are imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("PROMISSORY_STORE", raising=False)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_block_of_a_page_does_what_it_says(page, folder):
    names = {}
    for language, info, text in BLOCK.findall(page.read_text()):
        assert language in KNOWN, f"a block of {page.name} is marked {language!r}"
        if language == "python":
            write(folder, info, text)
        elif language == "pycon":
            run_doctest(page, text, names)
        elif language == "console":
            run_console(folder, text)


def write(folder, info, text):
    quoted = re.fullmatch(r"\s*from=(\S+)", info)
    if quoted:
        assert text.strip() in (ROOT / quoted[1]).read_text(), f"{quoted[1]} does not say this"
        return
    name = re.fullmatch(r"\s*file=(\S+)", info)
    assert name, "a python block says which file it is"
    (folder / name[1]).write_text(text)


def run_doctest(page, text, names):
    test = doctest.DocTestParser().get_doctest(text, names, page.name, str(page), 0)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    said = []
    result = runner.run(test, out=said.append, clear_globs=False)
    names.update(test.globs)
    assert not result.failed, "".join(said)


def run_console(folder, text):
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for command, expected in commands(text):
        if "# doctest: +SKIP" in command:
            continue
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert doctest.OutputChecker().check_output(expected, ran.stdout, FLAGS), (
            f"$ {command}\n--- expected\n{expected}--- printed\n{ran.stdout}"
        )


def commands(text):
    """The (command, expected output) pairs of a console block."""
    command, expected = None, []
    for line in text.splitlines(keepends=True):
        if line.startswith("$ "):
            if command is not None:
                yield command, "".join(expected)
            command, expected = line[2:].strip(), []
        else:
            expected.append(line)
    yield command, "".join(expected)


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert "://" in target or (page.parent / target).exists(), f"{page.name} links to {target}"
