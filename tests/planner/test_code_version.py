"""R3: `cache_version="code"` changes with the code that a task reaches, and with nothing else.

A11: what has no digest can't be cached.
"""

import importlib
import linecache
import os
import subprocess
import sys
import textwrap
import threading

import pytest

from promissory import dynamic, task, workflow
from promissory.errors import DecorationError

FILES = {
    "helpers": """
        LIMIT = 10

        def add(x):
            return x + 1

        def unused(x):
            return x
    """,
    "shapes": """
        class Base:
            def area(self):
                return 1

        class Square(Base):
            SIDES = 4

            def __init__(self, side):
                self.side = side

            def double(self):
                return 2 * self.side
    """,
}


@pytest.fixture
def version(tmp_path, monkeypatch):
    """A function (source of the task's module, more files) → the version that a plan gets; the modules are read afresh
    each time.
    """
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    written = set()

    def made(source, **files):
        for name, text in {
            **FILES,
            **files,
            "flow": "from promissory import task, dynamic\n" + textwrap.dedent(source),
        }.items():
            path = tmp_path.joinpath(*name.split("."))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".py").write_text(textwrap.dedent(text), encoding="utf-8")
            written.update((name, name.partition(".")[0]))
        forget()
        importlib.invalidate_caches()
        return importlib.import_module("flow").work.callee().policy.cache_version

    def forget():
        linecache.clearcache()  # as in a process of its own
        for name in written:
            sys.modules.pop(name, None)

    yield made
    forget()


WORK = """
import functools
import helpers, shapes
from helpers import add

FACTOR = 3
TABLE = {"a": [1, 2]}

def local(x):
    '''Doc.'''
    return deeper(x) * FACTOR

def deeper(x):
    return x + 100

@task(cache=True, cache_version="code")
def work(x: int) -> int:
    return local(x) + len(TABLE) + BODY
"""


def work(body, source=WORK):
    return source.replace("BODY", body)


LOGGED = (
    "\n"
    "def log(f):\n"
    "    @functools.wraps(f)\n"
    "    def inner(x):\n"
    "        return f(x)\n"
    "    return inner\n"
    "@log\n"
    "def wrapped(x):\n"
)

CHANGES = {
    "the task itself": (work("1"), work("2"), {}),
    "a helper": (work("1"), work("1").replace("deeper(x) * FACTOR", "deeper(x) + FACTOR"), {}),
    "a helper of a helper": (work("1"), work("1").replace("x + 100", "x + 200"), {}),
    "a default of a helper": (
        work("1").replace("deeper(x):", "deeper(x, by=1):"),
        work("1").replace("deeper(x):", "deeper(x, by=2):"),
        {},
    ),
    "a constant": (work("1"), work("1").replace("FACTOR = 3", "FACTOR = 4"), {}),
    "a constant within a table": (work("1"), work("1").replace("[1, 2]", "[1, 3]"), {}),
    "a function imported by name": (
        work("add(x)"),
        work("add(x)"),
        {"helpers": FILES["helpers"].replace("x + 1", "x + 2")},
    ),
    "a function of another module": (
        work("helpers.add(x)"),
        work("helpers.add(x)"),
        {"helpers": FILES["helpers"].replace("x + 1", "x + 2")},
    ),
    "a constant of another module": (
        work("helpers.LIMIT"),
        work("helpers.LIMIT"),
        {"helpers": FILES["helpers"].replace("10", "20")},
    ),
    "a method of a class": (
        work("shapes.Square(x).double()"),
        work("shapes.Square(x).double()"),
        {"shapes": FILES["shapes"].replace("2 *", "3 *")},
    ),
    "a constant of a class": (
        work("shapes.Square.SIDES"),
        work("shapes.Square.SIDES"),
        {"shapes": FILES["shapes"].replace("SIDES = 4", "SIDES = 5")},
    ),
    "a helper within a comprehension": (
        work("sum(add(i) for i in range(x))"),
        work("sum(add(i) for i in range(x))"),
        {"helpers": FILES["helpers"].replace("x + 1", "x + 2")},
    ),
    "a task that it calls": (
        work("other(x)") + "\n@task\ndef other(x: int) -> int:\n    return x\n",
        work("other(x)") + "\n@task\ndef other(x: int) -> int:\n    return x + 1\n",
        {},
    ),
    "a helper behind a wrapper": (
        work("wrapped(x)") + LOGGED + "    return x\n",
        work("wrapped(x)") + LOGGED + "    return -x\n",
        {},
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_R3_the_code_version_changes_with(version, what):
    before, after, files = CHANGES[what]
    assert version(before) != version(after, **files)


CACHED_HELPER = work("remembered(x)") + "\n@functools.lru_cache\ndef remembered(x):\n    return RESULT\n"
TWO_OF_ONE_FACTORY = (
    work("one(x) + two(x)") + "\n"
    "def make(by):\n"
    "    def inner(x):\n"
    "        return x + by\n"
    "    return inner\n"
    "one = make(FIRST)\n"
    "two = make(SECOND)\n"
)
WITH_PROPERTY = work("Box().value") + "\nclass Box:\n    @property\n    def value(self):\n        return deeper(1)\n"
WITH_STATIC = work("Box.value(1)") + "\nclass Box:\n    @staticmethod\n    def value(x):\n        return deeper(x)\n"
LAZY = work("inside(x)") + "\ndef inside(x):\n    from lazy import go\n    return go(x)\n"
DISPATCH = work("OPERATIONS['go'](x)") + "\ndef go(x):\n    return RESULT\nOPERATIONS = {'go': go}\n"
PARTIAL = work("go_by(x)") + "\ndef go(by, x):\n    return RESULT\ngo_by = functools.partial(go, 1)\n"
BY_PACKAGE = "import tools.inner\n" + work("tools.inner.go(x)")
INSTANCE = (
    work("SETTINGS.factor") + "\n"
    "from dataclasses import dataclass\n"
    "@dataclass(frozen=True)\n"
    "class Settings:\n"
    "    factor: int = 1\n"
    "SETTINGS = Settings(RESULT)\n"
)
TOOLS = {"tools.__init__": "", "tools.inner": "def go(x):\n    return x\n"}


def made_by_one_factory(first, second):
    return TWO_OF_ONE_FACTORY.replace("FIRST", str(first)).replace("SECOND", str(second))


REACHED = {
    "a lambda": (
        work("quick(x)") + "\nquick = lambda x: x + 1\n",
        work("quick(x)") + "\nquick = lambda x: x + 2\n",
        {},
        {},
    ),
    "a helper behind functools.lru_cache": (
        CACHED_HELPER.replace("RESULT", "x"),
        CACHED_HELPER.replace("RESULT", "-x"),
        {},
        {},
    ),
    "the first of two functions of one factory": (made_by_one_factory(1, 2), made_by_one_factory(9, 2), {}, {}),
    "the second of two functions of one factory": (made_by_one_factory(1, 2), made_by_one_factory(1, 9), {}, {}),
    "an inherited method": (work("shapes.Square(x).area()"),) * 2
    + ({}, {"shapes": FILES["shapes"].replace("return 1", "return 2")}),
    "what a property calls": (
        WITH_PROPERTY.replace("local(x) + ", ""),
        WITH_PROPERTY.replace("local(x) + ", "").replace("x + 100", "x + 200"),
        {},
        {},
    ),
    "what a static method calls": (
        WITH_STATIC.replace("local(x) + ", ""),
        WITH_STATIC.replace("local(x) + ", "").replace("x + 100", "x + 200"),
        {},
        {},
    ),
    "a function that the body imports": (
        LAZY,
        LAZY,
        {"lazy": "def go(x):\n    return x\n"},
        {"lazy": "def go(x):\n    return -x\n"},
    ),
    "a function in a table": (DISPATCH.replace("RESULT", "x"), DISPATCH.replace("RESULT", "-x"), {}, {}),
    "a function in a functools.partial": (PARTIAL.replace("RESULT", "x"), PARTIAL.replace("RESULT", "-x"), {}, {}),
    "a module of a package by its dotted name": (
        BY_PACKAGE,
        BY_PACKAGE,
        TOOLS,
        {**TOOLS, "tools.inner": "def go(x):\n    return -x\n"},
    ),
    "a dataclass that is a constant": (INSTANCE.replace("RESULT", "1"), INSTANCE.replace("RESULT", "2"), {}, {}),
}


@pytest.mark.parametrize("what", REACHED)
def test_R3_the_code_version_reaches(version, what):
    before, after, files, changed = REACHED[what]
    assert version(before, **files) != version(after, **changed)


SAME = {
    "a comment": (work("1"), work("1  # now with a comment"), {}),
    "a comment in a helper": (work("1"), work("1").replace("return deeper(x)", "# why\n    return deeper(x)"), {}),
    "a docstring of a helper": (work("1"), work("1").replace("'''Doc.'''", "'''Another.'''"), {}),
    "layout": (work("1"), work("1").replace("def deeper", "\n\n\ndef deeper"), {}),
    "what it does not call": (
        work("add(x)"),
        work("add(x)"),
        {
            "helpers": FILES["helpers"].replace(
                "def unused(x):\n            return x", "def unused(x):\n            return 3"
            )
        },
    ),
    "a constant that it does not mention": (
        work("add(x)"),
        work("add(x)"),
        {"helpers": FILES["helpers"].replace("10", "20")},
    ),
    "retries": (work("1"), work("1").replace("cache=True,", "cache=True, retries=3,"), {}),
}


@pytest.mark.parametrize("what", SAME)
def test_R3_the_code_version_does_not_change_with(version, what):
    before, after, files = SAME[what]
    assert version(before) == version(after, **files)


def test_R3_the_code_version_does_not_change_with_a_comment_in_a_class_that_is_used(version):
    before = version(work("shapes.Square(x).double()"))
    assert (
        version(work("shapes.Square(x).double()"), shapes=FILES["shapes"].replace("SIDES = 4", "SIDES = 4  # as ever"))
        == before
    )


def test_R3_the_code_version_is_the_same_in_every_process(version, tmp_path):
    source = (
        work("sum(add(i) for i in {1, 2}) + len(NAMES) + shapes.Square(1).double()")
        + "\nNAMES = {'a', 'b', 'c', 'd'}\n"
    )
    here = version(source)
    for seed in ("0", "1", "2"):
        told = subprocess.run(
            [sys.executable, "-B", "-c", "import flow; print(flow.work.callee().policy.cache_version)"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert told.stdout.strip() == here


USES_ADD = (
    "import helpers\n@task(cache=True, cache_version='code')\ndef work(x: int) -> int:\n    return helpers.add(x)\n"
)


@pytest.mark.xfail(strict=True, reason="a helper's text is read when the version is asked for, not when it was loaded")
def test_R3_the_code_version_is_of_the_code_that_was_loaded_and_not_of_a_file_edited_since(version, tmp_path):
    """Else what the old code gave would be found under the new code's version, for ever."""
    before = version(USES_ADD)
    importlib.reload(sys.modules["flow"])  # the same code, decorated anew
    (tmp_path / "helpers.py").write_text("def add(x):\n    return x + 2222\n")
    linecache.checkcache()
    assert sys.modules["flow"].work(1) == 2, "the old code is what runs"
    assert sys.modules["flow"].work.callee().policy.cache_version == before


@pytest.mark.xfail(strict=True, reason="linecache keeps the old text of an undecorated helper")
def test_R3_the_code_version_changes_when_a_helpers_module_is_loaded_again(version, tmp_path):
    before = version(USES_ADD)
    (tmp_path / "helpers.py").write_text("def add(x):\n    return x + 2222\n")
    importlib.reload(sys.modules["helpers"])
    importlib.reload(sys.modules["flow"])
    assert sys.modules["flow"].work(1) == 2223
    assert sys.modules["flow"].work.callee().policy.cache_version != before


def test_R3_functions_that_call_each_other_have_a_code_version(version):
    both = (
        work("ping(x)")
        + "\ndef ping(x):\n    return pong(x - 1) if x else 0\ndef pong(x):\n    return ping(x - 1) if x else STOP\n"
    )
    assert version(both.replace("STOP", "1")) != version(both.replace("STOP", "2"))


def test_R3_a_dynamics_code_version_is_of_what_it_calls_too(version):
    grows = "@task\ndef leaf(x: int) -> int:\n    return RESULT\n"
    grows += "@dynamic(cache=True, cache_version='code')\ndef work(x: int) -> int:\n    return leaf(x)\n"
    assert version(grows.replace("RESULT", "x")) != version(grows.replace("RESULT", "-x"))


def test_R3_a_version_that_the_author_wrote_is_taken_as_it_is(version):
    assert version(work("1").replace('cache_version="code"', 'cache_version="2024-05"')) == "2024-05"


# --- A11 ---


def multiplier(k, **policy):
    @task(cache=True, **policy)
    def times(x: int) -> int:
        return x * k

    return times


@pytest.mark.parametrize(
    "policy", [{}, {"cache_version": "code"}, {"cache_version": "7"}], ids=["plain", "code", "written"]
)
def test_A11_closures_of_one_name_have_versions_of_their_own(policy):
    assert (
        multiplier(2, **policy).callee().policy.cache_version != multiplier(3, **policy).callee().policy.cache_version
    )
    assert (
        multiplier(2, **policy).callee().policy.cache_version == multiplier(2, **policy).callee().policy.cache_version
    )


def test_A11_what_captured_something_without_bytes_cant_be_cached():
    lock = threading.Lock()

    @task(cache=True)
    def guarded(x: int) -> int:
        with lock:
            return x

    with pytest.raises(DecorationError, match=r"guarded can't be cached.*no bytes of its own") as caught:
        guarded.callee()
    assert caught.value.where.file == __file__
    assert "argument" in caught.value.way_out


def test_A11_a_dynamic_that_captured_something_without_bytes_cant_be_cached():
    lock = threading.Lock()

    @dynamic(cache=True)
    def guarded(x: int) -> int:
        with lock:
            return x

    with pytest.raises(DecorationError, match="can't be cached"):
        guarded.callee()


def test_A11_what_has_no_digest_runs_as_long_as_nobody_wants_it_cached():
    lock = threading.Lock()

    @task
    def guarded(x: int) -> int:
        with lock:
            return x

    assert guarded.callee().policy.cache is False


def test_A11_what_has_no_digest_cant_be_cached_for_one_call_either():
    lock = threading.Lock()

    @task
    def guarded(x: int) -> int:
        with lock:
            return x

    @workflow
    def flow() -> int:
        return guarded(1).with_overrides(cache=True)

    with pytest.raises(Exception, match="can't be cached"):
        flow.compile()


# --- what may be written ---


@pytest.mark.parametrize(
    "policy",
    [{"cache": 1}, {"cache_version": 2}, {"cache_version": ""}, {"cache_ignore": [1]}, {"cache_serialize": "yes"}],
)
def test_R3_a_setting_of_another_kind_is_refused_where_it_is_written(policy):
    with pytest.raises(DecorationError, match=next(iter(policy))):
        task(**policy)(_one)


def test_R3_an_input_that_is_not_there_cant_be_ignored():
    with pytest.raises(DecorationError, match="debug"):
        task(cache=True, cache_ignore=("debug",))(_one)


def test_R3_an_input_that_is_not_there_cant_be_ignored_for_one_call_either():
    one = task(_one)

    @workflow
    def flow() -> int:
        return one(1).with_overrides(cache=True, cache_ignore=("debug",))

    with pytest.raises(Exception, match="debug"):
        flow.compile()


def _one(x: int) -> int:
    return x
