"""A12: taking an identity pickles nothing, runs no user code, and ends, whatever a function captured."""

import functools
import threading

import pytest

from promissory import dynamic, task, workflow
from promissory.errors import DecorationError

pytestmark = pytest.mark.timeout(20)


class Pipeline:
    def __init__(self, offset):
        self.offset = offset

        @task
        def step(x: int) -> int:
            return x + self.offset

        self.step = step


class Walk:
    def __init__(self):
        @dynamic
        def walk(n: int) -> int:
            return 0 if n == 0 else self.walk(n - 1)

        self.walk = walk


def in_a(container, put):
    @task
    def step(x: int) -> int:
        return x + len(container)

    put(step)
    return step


def in_list():
    steps = []
    return in_a(steps, steps.append)


def in_dict():
    steps = {}
    return in_a(steps, lambda step: steps.update(step=step))


def in_set():
    steps = set()
    return in_a(steps, steps.add)


def in_partial():
    box = []

    @task
    def step(x: int) -> int:
        return x + len(box)

    box.append(functools.partial(step, 1))
    return step


def in_method():
    class Holder:
        def size(self):
            return len(self.steps)

    holder = Holder()
    size = holder.size

    @task
    def step(x: int) -> int:
        return x + size()

    holder.steps = [step]
    return step


def in_decorator():
    class App:
        def __init__(self):
            self.tasks, self.calls = {}, 0

        def task(self, f):
            @functools.wraps(f)
            def inner(x: int) -> int:
                self.calls += 1
                return f(x)

            self.tasks[f.__name__] = made = task(inner)
            return made

    @App().task
    def registered(x: int) -> int:
        return x

    return registered


def in_two():
    boxes = [], []

    @task
    def one(x: int) -> int:
        return x + len(boxes[0])

    @task
    def other(x: int) -> int:
        return x + len(boxes[1])

    boxes[0].append(other)
    boxes[1].append(one)
    return one


REACHING = {
    "an object": lambda: Pipeline(1).step,
    "a dynamic of an object": lambda: Walk().walk,
    "a list": in_list,
    "a dict": in_dict,
    "a set": in_set,
    "a partial": in_partial,
    "a method": in_method,
    "a decorator's object": in_decorator,
    "two that hold each other": in_two,
}


@pytest.mark.parametrize("kind", REACHING)
def test_A12_a_task_that_is_reachable_from_what_it_captured_has_an_identity(kind):
    made = REACHING[kind]()
    assert made.callee() is not None


def test_A12_validate_call_is_a_decorator_like_any_other():
    pydantic = pytest.importorskip("pydantic")

    @task
    @pydantic.validate_call
    def same(x: int) -> int:
        return x

    assert same.callee() is not None


def test_A12_taking_an_identity_runs_nothing_of_what_was_captured():
    class Watched:
        def __getattribute__(self, name):
            raise AssertionError(f"{name} was asked for")

        def __reduce__(self):
            raise AssertionError("it was pickled")

    watched = Watched()

    @task
    def keeps(x: int) -> int:
        return x if watched else 0

    assert keeps.callee() is not None


WITHOUT_BYTES = """
import contextlib, functools, itertools, logging, random, threading, weakref
from promissory import task, workflow

def with_a(make):
    def decorate(f):
        captured = make()
        @functools.wraps(f)
        def inner(x: int) -> int:
            return f(x) if captured is not None else 0
        return inner
    return decorate

@contextlib.contextmanager
def timed():
    yield

@task
@with_a(threading.Lock)
def lock(x: int) -> int:
    return x

@task
@with_a(threading.RLock)
def rlock(x: int) -> int:
    return x

@task
@with_a(lambda: logging.getLogger("a"))
def logger(x: int) -> int:
    return x

@task
@with_a(itertools.count)
def counter(x: int) -> int:
    return x

@task
@with_a(threading.local)
def local(x: int) -> int:
    return x

@task
@with_a(lambda: (n for n in [1]))
def generator(x: int) -> int:
    return x

@task
@with_a(lambda: contextlib.ExitStack())
def stack(x: int) -> int:
    return x

@task
@timed()
def context(x: int) -> int:
    return x

class Timer:
    def __call__(self, f):
        lock = threading.Lock()
        @functools.wraps(f)
        def inner(x: int) -> int:
            with lock:
                return f(x)
        return inner

@task
@Timer()
def timer(x: int) -> int:
    return x
"""
NAMES = ["lock", "rlock", "logger", "counter", "local", "generator", "stack", "context", "timer"]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.full(keep=3)
@pytest.mark.parametrize("name", NAMES)
def test_A12_a_module_level_task_whose_decorator_captured_what_has_no_bytes_has_a_digest(write_module, name):
    entity = getattr(write_module("without_bytes", WITHOUT_BYTES), name)
    first = entity.callee().digest
    assert len(first) == 32
    assert entity.callee().digest == first


SCALED = """
import functools, threading
from promissory import task

def scaled(by):
    lock = threading.Lock()
    def decorate(f):
        @functools.wraps(f)
        def inner(x: int) -> int:
            with lock:
                return by * f(x)
        return inner
    return decorate

@task
@scaled(2)
def f(x: int) -> int:
    return x
"""


def digest_of(write_module, name, source):
    return write_module(name, source).f.callee().digest


def test_A12_it_sees_the_decorators_arguments_its_source_and_the_functions_own(write_module):
    base = digest_of(write_module, "base", SCALED)
    assert digest_of(write_module, "same", SCALED + "\n# a comment\n") == base
    assert digest_of(write_module, "by", SCALED.replace("@scaled(2)", "@scaled(3)")) != base
    assert digest_of(write_module, "decorator", SCALED.replace("by * f(x)", "by + f(x)")) != base
    assert digest_of(write_module, "function", SCALED.replace("return x\n", "return x + 1\n")) != base
    assert digest_of(write_module, "kind", SCALED.replace("threading.Lock()", "threading.Semaphore()")) != base


def test_A12_what_has_no_bytes_allows_only_a_cache_version_of_the_authors_own(write_module):
    def with_policy(name, policy):
        return write_module(name, SCALED.replace("@task", f"@task({policy})")).f.callee()

    assert with_policy("own_version", 'cache=True, cache_version="1"').policy.cache
    with pytest.raises(DecorationError, match="no bytes of its own"):
        with_policy("by_code", 'cache=True, cache_version="code"')


def test_A12_a_closure_with_a_lock_that_no_import_gives_still_has_no_digest():
    lock = threading.Lock()

    @task
    def guarded(x: int) -> int:
        with lock:
            return x

    assert len(guarded.callee().digest) == 16


def test_A6_a_captured_promise_is_told_by_its_name_with_what_to_do(problem_of):
    @task
    def twice(x: int) -> int:
        return 2 * x

    @workflow
    def main() -> int:
        p = twice(3)

        @task
        def read() -> int:
            return p + 1

        return read()

    message = str(problem_of(main))
    assert "read() captured the promise p of twice()" in message
    assert "argument" in message
    assert "pickled" not in message


@pytest.mark.parametrize(
    "wrap", [lambda p: [p], lambda p: {"k": p}, lambda p: (1, [p]), lambda p: functools.partial(max, p)]
)
def test_A6_a_captured_promise_inside_something_is_told_too(problem_of, wrap):
    @task
    def twice(x: int) -> int:
        return 2 * x

    @workflow
    def main() -> int:
        held = wrap(twice(3))

        @task
        def read() -> int:
            return len(str(held))

        return read()

    message = str(problem_of(main))
    assert "read() captured" in message and "held" in message and "twice()" in message


def test_A6_a_promise_that_a_captured_function_captured_is_told_too(problem_of):
    @task
    def twice(x: int) -> int:
        return 2 * x

    @workflow
    def main() -> int:
        p = twice(3)

        def helper():
            return p

        @task
        def read() -> int:
            return helper()

        return read()

    message = str(problem_of(main))
    assert "captured the promise p of twice()" in message
