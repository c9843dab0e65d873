"""R3: `cache_version="code"` reaches what is not a function: instances, their state and classes, metaclasses, single
dispatch, decorators, annotations, defaults, imports in bodies. What it can't follow, it says."""

import importlib
import linecache
import re
import sys
import textwrap

import pytest

HEAD = """
import collections, contextlib, enum, functools, logging, operator, threading, types
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypedDict, TypeVar
from promissory import dynamic, task

def helper(x):
    return x + A

T = TypeVar("T")
"""
TASK = """
@task(cache=True, cache_version="code")
def work(x: int) -> int:
    return {0}
"""
REACHED = {
    "the class of a module-level instance": (
        "class Client:\n    def add(self, x): return x + A\nclient = Client()",
        "client.add(x)",
    ),
    "the base class of a module-level instance": (
        "class Base:\n    def add(self, x): return x + A\nclass Client(Base): pass\nclient = Client()",
        "client.add(x)",
    ),
    "the state of a module-level instance": (
        "class Client:\n    def __init__(self, by): self.by = by\n    def add(self, x): return x + self.by\n"
        "client = Client(A)",
        "client.add(x)",
    ),
    "the state of an instance with slots": (
        "class Client:\n    __slots__ = ('by', 'never')\n    def __init__(self, by): self.by = by\nclient = Client(A)",
        "client.by + x",
    ),
    "an instance that an instance holds": (
        "class Inner:\n    def add(self, x): return x + A\nclass Outer:\n    def __init__(self): self.inner = Inner()\n"
        "outer = Outer()",
        "outer.inner.add(x)",
    ),
    "a function that an instance holds": (
        "class Outer:\n    def __init__(self, f): self.f = f\nouter = Outer(helper)",
        "outer.f(x)",
    ),
    "the class of an instance that holds a lock": (
        "class Client:\n    def __init__(self): self.lock = threading.Lock()\n    def add(self, x): return x + A\n"
        "client = Client()",
        "client.add(x)",
    ),
    "instances in a list": (
        "class Step:\n    def run(self, x): return x + A\nSTEPS = [Step(), Step()]",
        "STEPS[0].run(x)",
    ),
    "a callable instance": ("class Adder:\n    def __call__(self, x): return x + A\nadd = Adder()", "add(x)"),
    "a bound method": ("class Client:\n    def add(self, x): return x + A\nadd = Client().add", "add(x)"),
    "the object of a bound method": (
        "class Client:\n    def __init__(self, by): self.by = by\n    def add(self, x): return x + self.by\n"
        "add = Client(A).add",
        "add(x)",
    ),
    "an implementation of a singledispatch": (
        "@functools.singledispatch\ndef go(x): return x\n@go.register\ndef _(x: int): return x + A",
        "go(x)",
    ),
    "the default of a singledispatch": ("@functools.singledispatch\ndef go(x): return x + A", "go(x)"),
    "a singledispatchmethod": (
        "class Go:\n    @functools.singledispatchmethod\n    def go(self, x): return x\n"
        "    @go.register\n    def _(self, x: int): return helper(x)",
        "Go().go(x)",
    ),
    "a metaclass": (
        "class Meta(type):\n    def __call__(cls, x): return x + A\nclass Made(metaclass=Meta): pass",
        "Made(x)",
    ),
    "what a metaclass calls": (
        "class Meta(type):\n    def __call__(cls, x): return helper(x)\nclass Made(metaclass=Meta): pass",
        "Made(x)",
    ),
    "__init_subclass__ of a base": (
        "class Base:\n    def __init_subclass__(cls): cls.by = helper(0)\nclass Made(Base): pass",
        "Made.by + x",
    ),
    "a class method": ("class Made:\n    @classmethod\n    def go(cls, x): return helper(x)", "Made.go(x)"),
    "a cached property": (
        "class Made:\n    @functools.cached_property\n    def go(self): return helper(1)",
        "Made().go",
    ),
    "a partial method": (
        "class Made:\n    def of(self, by, x): return x + by\n    go = functools.partialmethod(of, A)",
        "Made().go(x)",
    ),
    "an attribute of a class": ("BY = A\nclass Made:\n    by = BY", "Made.by + x"),
    "an attribute that was set on a class": ("class Made: pass\nMade.by = A", "Made.by + x"),
    "a class attribute that is an instance": (
        "class Inner:\n    def go(self, x): return x + A\nclass Made:\n    inner = Inner()",
        "Made.inner.go(x)",
    ),
    "a class within a class": (
        "class Made:\n    class Inner:\n        def go(self, x): return helper(x)",
        "Made.Inner().go(x)",
    ),
    "a decorator of a class": ("def by(cls):\n    cls.by = A\n    return cls\n@by\nclass Made: pass", "Made.by + x"),
    "a default factory of a dataclass": (
        "def made(): return [A]\n@dataclass\nclass Made:\n    xs: list[int] = field(default_factory=made)",
        "Made().xs[0] + x",
    ),
    "a default of a field that is a constant": ("BY = A\n@dataclass\nclass Made:\n    by: int = BY", "Made().by + x"),
    "a method of an enum": (
        "class Kind(enum.Enum):\n    ONE = 1\n    def go(self, x): return x + A",
        "Kind.ONE.go(x)",
    ),
    "what a method of a constant member calls": (
        "class Kind(enum.Enum):\n    ONE = 1\n    def go(self, x): return helper(x)\nKIND = Kind.ONE",
        "KIND.go(x)",
    ),
    "a value of an enum": ("class Kind(enum.Enum):\n    ONE = A", "Kind.ONE.value + x"),
    "the class of a dataclass that is a constant": (
        "@dataclass(frozen=True)\nclass By:\n    n: int = 0\n    def go(self, x): return x + A\nBY = By()",
        "BY.go(x)",
    ),
    "the class of a NamedTuple in a table": (
        "class By(NamedTuple):\n    n: int = 0\n    def go(self, x): return x + A\nBY = {'a': [By()]}",
        "BY['a'][0].go(x)",
    ),
    "a method of an annotated parameter": (
        "@dataclass\nclass Given:\n    n: int = 0\n    def go(self, x): return x + A\n"
        "@task(cache=True, cache_version='code')\ndef work(given: Given, x: int = 1) -> int: return given.go(x)",
        None,
    ),
    "a method of a record within an annotated parameter": (
        "@dataclass\nclass Inner:\n    n: int = 0\n    def go(self, x): return x + A\n"
        "@dataclass\nclass Outer:\n    inners: list[Inner]\n"
        "@task(cache=True, cache_version='code')\n"
        "def work(given: Outer | None, x: int = 1) -> int: return given.inners[0].go(x)",
        None,
    ),
    "a helper's default": ("def go(x, by=A): return x + by", "go(x)"),
    "the class of a helper's default": (
        "class By:\n    def go(self, x): return x + A\ndef go(x, by=By()): return by.go(x)",
        "go(x)",
    ),
    "a decorator's argument": (
        "def scaled(by):\n    def wrap(f):\n        @functools.wraps(f)\n        def inner(x): return f(x) * by\n"
        "        return inner\n    return wrap\n@scaled(A)\ndef go(x): return x",
        "go(x)",
    ),
    "a decorator that wraps nothing": (
        "def chosen(f): return f if A == 1 else abs\n@chosen\ndef go(x): return -x",
        "go(x)",
    ),
    "a decorator with a lock": (
        "def locked(f):\n    lock = threading.Lock()\n    def inner(x):\n        with lock: return f(x)\n"
        "    return inner\n@locked\ndef go(x): return x + A",
        "go(x)",
    ),
    "a context manager": (
        "@contextlib.contextmanager\ndef by(): yield A\ndef go(x):\n    with by() as n: return x + n",
        "go(x)",
    ),
    "a function in a default dict": ("GO = collections.defaultdict(lambda: helper)", "GO['x'](x)"),
    "a function in an ordered dict": ("GO = collections.OrderedDict(a=helper)", "GO['a'](x)"),
    "a function behind a mapping proxy": ("GO = types.MappingProxyType({'a': helper})", "GO['a'](x)"),
    "a dict of its own class": ("class Go(dict):\n    def at(self, x): return self['a'] + x\nGO = Go(a=A)", "GO.at(x)"),
    "a partial of a partial": ("go = functools.partial(functools.partial(helper))", "go(x)"),
    "an attribute of a function": ("def go(x): return x + go.by\ngo.by = A", "go(x)"),
    "a generic record": (
        "@dataclass\nclass Box(Generic[T]):\n    held: T\n    def go(self): return self.held + A\nIntBox = Box[int]",
        "IntBox(x).go()",
    ),
    "what a lambda calls": ("go = lambda x: helper(x)", "go(x)"),
    "a constant in a tuple of objects": ("class By: pass\nBY = (By(), A)", "BY[1] + x"),
}


@pytest.fixture
def load(tmp_path, monkeypatch):
    """A function (source, more files) → the task `work` of a module of this source, read afresh."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    written = set()

    def forget():
        linecache.clearcache()
        for name in written:
            sys.modules.pop(name, None)

    def made(source, **files):
        for name, text in {**files, "reaching": source}.items():
            path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
            written.update((name, name.partition(".")[0]))
        forget()
        importlib.invalidate_caches()
        return importlib.import_module("reaching").work

    yield made
    forget()


def version(work):
    return work.callee().policy.cache_version


def beyond(work):
    from promissory.planner.functions.reach import reach_of

    return list(reach_of(work.function).beyond)


def program(what, value):
    """The program with a value in the place of each `A`."""
    source, body = REACHED[what]
    return re.sub(r"\bA\b", str(value), f"{HEAD}\n{source}\n{TASK.format(body) if body else ''}")


@pytest.mark.parametrize("what", REACHED)
def test_R3_the_code_version_reaches(load, what):
    first, again, other = (version(load(program(what, a))) for a in (1, 1, 2))
    assert first == again
    assert first != other


def test_R3_the_code_version_reaches_modules_that_a_body_imports_and_what_those_import(load):
    source = HEAD.replace("A", "1") + TASK.format("x") + "    from pkg import lazy\n    return lazy.go(x)\n"
    files = {
        "pkg.__init__": "",
        "pkg.lazy": "from pkg.deep import by\ndef go(x): return x + by\n",
        "pkg.deep": "by = 1\n",
    }
    before = version(load(source, **files))
    assert "pkg.lazy" not in sys.modules, "nothing is imported to look"
    assert version(load(source, **files)) == before
    assert version(load(source, **{**files, "pkg.deep": "by = 2\n"})) != before
    assert version(load(source, **{**files, "pkg.lazy": files["pkg.lazy"].replace("x +", "x -")})) != before
    assert version(load(source, **{**files, "pkg.__init__": "# a comment\n"})) == before


UNSEEN = {
    "a library's object": (
        "import sched\nplan = sched.scheduler()",
        "len(plan.queue)",
        ["reaching:work uses plan, a sched.scheduler, which counts by its class alone"],
    ),
    "a library's object in an instance": (
        "import sched\nclass Client:\n    def __init__(self): self.plan = sched.scheduler()\nclient = Client()",
        "len(client.plan.queue)",
        ["reaching:work uses client.plan, a sched.scheduler, which counts by its class alone"],
    ),
    "eval": ("", "eval('x')", ["what reaching:work finds with eval()"]),
    "import_module": (
        "import importlib",
        "importlib.import_module('json').loads('1')",
        ["what reaching:work finds with import_module()"],
    ),
    "globals in a helper": (
        "def go(x): return globals()['helper'](x)",
        "go(x)",
        ["what reaching:go finds with globals()"],
    ),
    "nothing": (
        "log = logging.getLogger('x')\nlock = threading.Lock()",
        "[log, lock, helper, operator.add, len] and x",
        [],
    ),
    "a method called eval": ("class Model:\n    def eval(self): return 1\nmodel = Model()", "model.eval()", []),
}


@pytest.mark.parametrize("what", UNSEEN)
def test_R3_what_the_code_version_does_not_see_is_told(load, what):
    source, body, wanted = UNSEEN[what]
    assert beyond(load(HEAD.replace("A", "1") + source + TASK.format(body))) == wanted


def test_R3_what_is_reached_runs_no_code_of_the_authors(load):
    source = """
class Trap:
    def __getattr__(self, name): raise RuntimeError(name)
    def __eq__(self, other): raise RuntimeError("eq")
    def __hash__(self): raise RuntimeError("hash")
    def __bool__(self): raise RuntimeError("bool")
    def __len__(self): raise RuntimeError("len")
    def __iter__(self): raise RuntimeError("iter")
    def __reduce__(self): raise RuntimeError("reduce")
    def __repr__(self): raise RuntimeError("repr")
    @property
    def __class__(self): raise RuntimeError("class")
class TrapList(list):
    def __iter__(self): raise RuntimeError("iter")
class TrapDict(dict):
    def items(self): raise RuntimeError("items")
    def __iter__(self): raise RuntimeError("iter")
trap = Trap()
TRAPS = [trap, TrapList([trap]), TrapDict(a=trap)]
"""
    assert version(load(HEAD.replace("A", "1") + source + TASK.format("[trap, TRAPS] and x")))


def test_R3_objects_that_lead_back_to_themselves_have_a_code_version(load):
    source = "class Node: pass\nnode = Node()\nnode.up = node\nLOOP = [node]\nLOOP.append(LOOP)"
    assert version(load(HEAD.replace("A", "1") + source + TASK.format("[node, LOOP] and x")))
