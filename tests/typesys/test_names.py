"""The names by which another process would import a thing."""

import os
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

import promissory
from promissory.typesys.names import NotFound, find, import_name, qualified_name

ROOT = Path(promissory.__file__).parent.parent

FLOW = """
from dataclasses import dataclass
from typing import Any
from promissory.typesys import codec_of, type_of
from promissory.typesys.names import find, qualified_name
from promissory.typesys.type_format import type_bytes

@dataclass
class Row:
    price: float

def describe():
    return " ".join([
        qualified_name(Row), type_bytes(type_of(Row)).hex(), codec_of(Any).encode(Row(1.5)).hex(),
        str(find(qualified_name(Row)) is Row),
        str(codec_of(Any).decode(codec_of(Any).encode(Row(1.5))) == Row(1.5)),
    ])

if __name__ == "__main__":
    print(describe())
"""


class Outer:
    @dataclass
    class Inner:
        x: int

    def method(self):
        pass


@pytest.fixture
def project(tmp_path):
    (tmp_path / "flow.py").write_text(FLOW)
    package = tmp_path / "shop" / "flows"
    package.mkdir(parents=True)
    (tmp_path / "shop" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "flow.py").write_text(FLOW)
    (package / "__main__.py").write_text(FLOW)
    return tmp_path


def python(project, *arguments):
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{project}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_file_is_named_from_its_outermost_package(project):
    assert import_name(project / "flow.py") == ("flow", project.resolve())
    assert import_name(project / "shop" / "flows" / "flow.py") == ("shop.flows.flow", project.resolve())
    assert import_name(project / "shop" / "__init__.py") == ("shop", project.resolve())
    assert import_name(project / "shop" / "flows" / "__init__.py") == ("shop.flows", project.resolve())


def test_a_relative_path_is_named_as_the_absolute_one(project, monkeypatch):
    monkeypatch.chdir(project / "shop" / "flows")
    assert import_name(Path("flow.py")) == ("shop.flows.flow", project.resolve())


def test_A5_a_script_has_the_names_and_bytes_of_the_module(project):
    imported = python(project, "-c", "import flow; print(flow.describe())")
    assert imported.startswith("flow:Row ")
    assert imported.endswith("True True")
    assert python(project, "flow.py") == imported
    assert python(project, "-m", "flow") == imported


def test_A5_a_script_inside_a_package_has_the_names_and_bytes_of_the_module(project):
    imported = python(project, "-c", "import shop.flows.flow as flow; print(flow.describe())")
    assert imported.startswith("shop.flows.flow:Row ")
    assert python(project, "shop/flows/flow.py") == imported
    assert python(project, "-m", "shop.flows.flow") == imported


def test_A5_a_package_that_is_run_has_the_names_of_its_main_module(project):
    said = python(project, "-m", "shop.flows")
    assert said.startswith("shop.flows.__main__:Row ")
    assert said == python(project, "-c", "import shop.flows.__main__ as main; print(main.describe())")


def test_A5_a_class_of_the_main_script_has_its_name_in_a_spawned_process_too(project):
    (project / "spawning.py").write_text(
        FLOW.partition("if __name__")[0]
        + "import multiprocessing\n"
        + "if __name__ == '__main__':\n"
        + "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        + "        print(pool.apply(describe) == describe())\n"
    )
    assert python(project, "spawning.py") == "True"


def test_what_was_typed_in_has_the_name_main(project):
    assert (
        python(
            project,
            "-c",
            "from promissory.typesys.names import qualified_name\nclass A: pass\nprint(qualified_name(A))",
        )
        == "__main__:A"
    )


@pytest.mark.parametrize("thing", [Fraction, os.path.join, Outer, Outer.Inner, Outer.method, dataclass])
def test_a_name_leads_back_to_its_thing(thing):
    assert find(qualified_name(thing)) is thing


def test_a_name_is_module_and_qualified_name():
    assert qualified_name(Fraction) == "fractions:Fraction"
    assert qualified_name(Outer.Inner) == f"{__name__}:Outer.Inner"


def test_a_class_made_in_a_function_is_found_while_it_lives():
    class Local:
        pass

    name = qualified_name(Local)
    assert name.endswith("<locals>.Local")
    assert find(name) is Local


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("no_such_module:X", "cannot import module 'no_such_module' to find 'X': No module named 'no_such_module'"),
        ("fractions:NoSuch", "module 'fractions' has no 'NoSuch'"),
        ("fractions:Fraction.no.such", "module 'fractions' has no 'Fraction.no.such'"),
        ("os:f.<locals>.X", "module 'os' has no 'f.<locals>.X'"),
        (
            "fractions:Fraction.<locals>.X",
            "'Fraction.<locals>.X' of module 'fractions' is defined inside a function, where no import reaches it",
        ),
    ],
)
def test_a_name_that_leads_nowhere_says_why(name, sentence):
    with pytest.raises(NotFound) as caught:
        find(name)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("name", ["", ":X", ".relative:X", "no module:X", "a..b:X", "\0:X"])
def test_a_name_that_is_no_name_is_not_found(name):
    with pytest.raises(NotFound):
        find(name)
