"""Fixtures of the examples' tests: each example as a program and through the command, in a fresh folder; a tree of
Python files to count.
"""

import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
COMMAND = Path(sys.executable).parent / "promissory"


@pytest.fixture
def run_program(tmp_path):
    """A function (program, arguments…) → the ended process. The program is `promissory` or an example's file name."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PROMISSORY_STORE", "COLUMNS", "FORCE_COLOR")
    }

    def run(program, *arguments, **more):
        command = [COMMAND] if program == "promissory" else [sys.executable, EXAMPLES / program]
        return subprocess.run(
            [*map(str, command), *map(str, arguments)],
            cwd=tmp_path,
            env={**environment, **more},
            capture_output=True,
            text=True,
            timeout=100,
            stdin=subprocess.DEVNULL,
        )

    return run


@pytest.fixture
def example():
    """A function (file name) → where the example is."""
    return lambda name: str(EXAMPLES / name)


@pytest.fixture
def load_example(monkeypatch):
    """A function (file name) → the example as a module."""

    def load(name):
        module = Path(name).stem
        spec = importlib.util.spec_from_file_location(module, EXAMPLES / name)
        loaded = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, module, loaded)
        spec.loader.exec_module(loaded)
        return loaded

    return load


@pytest.fixture
def make_tree(tmp_path):
    """A function (folders, files in each) → the root of a tree of small Python files, each with a name of its own,
    drawn with a seed.
    """

    def make(folders, files):
        draw = random.Random(11)
        root = tmp_path / "tree"
        places = [root]
        for number in range(folders):
            places.append(draw.choice(places[-8:]) / f"folder{number}")
        count = 0
        for place in places:
            place.mkdir(parents=True, exist_ok=True)
            for _ in range(files):
                body = "".join(
                    f"def f{n}(x):\n" + "    x += 1\n" * draw.randrange(1, 9) + "    return x\n\n\n"
                    for n in range(draw.randrange(4))
                )
                (place / f"m{count:05}.py").write_text(
                    "import os\nfrom sys import path\n\n" + body + ("class C:\n    pass\n" if count % 3 else "")
                )
                count += 1
        (root / "broken.py").write_text("def f(:\n    pass\n")
        (root / "notes.txt").write_text("no Python\n")
        (root / "empty").mkdir()
        (root / "__pycache__").mkdir()
        (root / "__pycache__" / "old.py").write_text("x = 1\n")
        (root / "link").symlink_to(root / "empty")
        return root

    return make
