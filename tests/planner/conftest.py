"""Fixtures that the planner's tests share: modules written to disk, as an author's files are, and the plans of small
bodies.
"""

import importlib
import sys
import textwrap

import pytest

from promissory.errors import CompileError


@pytest.fixture
def write_module(tmp_path, monkeypatch):
    """A function (name, source) → the module, imported from a file in a fresh folder and forgotten after the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    written = []

    def write(name, source):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        importlib.invalidate_caches()
        written.append(name)
        return importlib.import_module(name)

    yield write
    for name in written:
        sys.modules.pop(name, None)


@pytest.fixture
def problem_of():
    """A function that compiles something and gives the `CompileError` that it raises."""

    def compile_wrong(target):
        with pytest.raises(CompileError) as caught:
            target.compile()
        return caught.value

    return compile_wrong
