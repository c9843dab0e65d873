"""A5: the same source and arguments give the same bytes: in another process, under another hash seed or Python, as a
script or a module.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = '''
from __future__ import annotations

import enum
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from promissory import dynamic, expand, task, workflow


class Kind(enum.Enum):
    ALPHA = "a"
    BETA = 2
    GAMMA = (1, 2)


class Pair(NamedTuple):
    left: int
    right: str = "r"


@dataclass
class Row:
    kind: Kind
    kinds: set[Kind]
    names: frozenset[str] = frozenset({"x", "y", "z"})
    parent: Row | None = None
    extra: dict[str, list[float]] = field(default_factory=dict)


KINDS = {Kind.ALPHA, Kind.BETA, Kind.GAMMA}


def twice(f: Callable[[int], int]) -> Callable[[int], int]:
    @functools.wraps(f)
    def again(x: int) -> int:
        return f(f(x))

    return again


def make(k: Any) -> Any:
    @task
    def captured(x: int) -> int:
        return x + len(str(k))

    return captured


@task
def describe(row: Row, n: int = 3, /, *, kinds: set[Kind] = KINDS, mode: Literal["b", "a"] = "a") -> str:
    """Says what it is."""
    match row:
        case Row(kind=Kind.ALPHA, names=names) if n > 3:
            return f"{sorted(names)!r:>{n}} {row.kind.name!s}"
        case Row(parent=Row(kind=kind)):
            return f"""{kind}: {"".join(f"{x}" for x in range(n))}
            over lines"""
        case _:
            return "%s" % n + f"{n=}" rf"\\d{n}" "é"


@task
@twice
def step(x: int) -> int:
    return x + 1


@task
async def later(x: int, flags: dict[str, Any] = {"b": {3, 1, 2}, "a": (1.5, None)}) -> Pair:  # noqa: B006
    return Pair(x)


@task
def anything(x: Any) -> None:
    pass


@dynamic(max_depth=5)
def down(n: int, seen: set[str] = {"p", "q", "r", "s"}) -> int:  # noqa: B006
    return down(step(n), seen) if n else 0


@workflow
def inner(x: int, kinds: set[Kind] = KINDS) -> str:
    return describe(Row(Kind.BETA, kinds, extra={"k": [x, 2.5]}), x, kinds=kinds)


@workflow
def flow(x: int, kinds: set[Kind]) -> tuple[str, list[Any]]:
    first = inner(step(x))
    pair = later(down(x))
    row = Row(Kind.ALPHA, {Kind.BETA})
    closures = [make(value)(x) for value in (1, "1", KINDS, frozenset("abc"), Kind.GAMMA, row, {"k": {1.5, 2}}, step)]
    anything({"set": {"one", "two", "three"}, "row": Row(Kind.ALPHA, KINDS), "of": pair.right}) >> closures
    return inner(pair[0], kinds), [first, *closures, {"six", "seven", "eight"}]


PLANS = [flow.compile(), down.compile(), expand(down, [3, {"t", "u", "v"}])]

if __name__ == "__main__":
    for plan in PLANS:
        print(plan.to_bytes().hex())
'''

IMPORTED = "import corpus\nfor plan in corpus.PLANS:\n    print(plan.to_bytes().hex())\n"


def pythons() -> list[str]:
    """Other interpreters that can run the planner: beside this one, and in `PROMISSORY_PYTHONS`."""
    named = [one for one in os.environ.get("PROMISSORY_PYTHONS", "").split(os.pathsep) if one]
    folders = [Path(sys.executable).parent, Path(sys.executable).resolve().parent]
    beside = [str(folder / f"python3.{minor}") for folder in folders for minor in range(11, 16)]
    found: dict[str, str] = {}
    for candidate in [*named, *beside]:
        if Path(candidate).exists():
            code = "import sys, msgpack, cloudpickle, typeguard; print(sys.version_info[:2])"
            asked = subprocess.run([candidate, "-c", code], capture_output=True, text=True, env=environment("0"))
            if asked.returncode == 0:
                found.setdefault(asked.stdout.strip(), candidate)
    return list(found.values())


def environment(seed: str) -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return {"PATH": os.defpath, "PYTHONPATH": root, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"}


def compiled(
    folder: Path, *command: str, seed: str = "0", python: str = sys.executable, cwd: Path | None = None
) -> list[str]:
    ran = subprocess.run([python, *command], capture_output=True, text=True, cwd=cwd or folder, env=environment(seed))
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.split()
    assert len(lines) == 3
    return lines


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "corpus.py").write_text(SOURCE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def expected(folder):
    return compiled(folder, "-c", IMPORTED)


@pytest.mark.parametrize("seed", ["1", "2", "3", "4", "4242"])
def test_A5_the_bytes_do_not_depend_on_the_hash_seed(folder, expected, seed):
    assert compiled(folder, "-c", IMPORTED, seed=seed) == expected


def test_A5_a_script_gives_the_bytes_of_the_module(folder, expected):
    assert compiled(folder, "corpus.py") == expected


def test_A5_a_script_started_from_elsewhere_gives_the_same_bytes(folder, expected, tmp_path):
    assert compiled(folder, str(folder / "corpus.py"), cwd=tmp_path) == expected


def test_A5_python_dash_m_gives_the_same_bytes(folder, expected):
    assert compiled(folder, "-m", "corpus") == expected


def test_A5_the_folder_of_a_file_is_no_part_of_it(expected, tmp_path):
    (tmp_path / "corpus.py").write_text(
        "# moved down\n\n" + SOURCE.replace("from __future__", "\nfrom __future__"), encoding="utf-8"
    )
    assert compiled(tmp_path, "corpus.py") == expected


def test_A5_a_file_in_a_package_is_named_from_its_root(tmp_path):
    package = tmp_path / "outer" / "inner"
    package.mkdir(parents=True)
    (tmp_path / "outer" / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "corpus.py").write_text(SOURCE, encoding="utf-8")
    imported = compiled(tmp_path, "-c", IMPORTED.replace("import corpus", "import outer.inner.corpus as corpus"))
    assert compiled(tmp_path, "outer/inner/corpus.py") == imported
    assert compiled(tmp_path, "-m", "outer.inner.corpus") == imported


def test_A5_optimised_python_gives_the_same_bytes(folder, expected):
    assert compiled(folder, "-OO", "corpus.py") == expected


def test_A5_every_python_found_gives_the_same_bytes(folder, expected, capsys):
    tried = pythons()
    with capsys.disabled():
        print(
            "\n"
            f"[A5: the same plans under {len(tried)} interpreters: "
            f"{', '.join(Path(one).name + ' ' + one for one in tried)}]"
        )
    assert [compiled(folder, "corpus.py", python=one, seed="7") for one in tried] == [expected] * len(tried)


def test_A5_the_corpus_holds_no_identity_by_value(folder, expected):
    from promissory import Plan

    for data in expected:
        assert {len(callee.digest) for callee in Plan.from_bytes(bytes.fromhex(data)).shape.callees} == {32}


def test_A5_two_compiles_in_one_process_give_the_same_bytes(write_module):
    module = write_module("corpus_again", SOURCE)
    assert module.flow.compile().to_bytes() == module.flow.compile().to_bytes() == module.PLANS[0].to_bytes()
