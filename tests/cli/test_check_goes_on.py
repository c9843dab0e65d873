"""`promissory check` collects every author's exception, whatever it is, and goes on (rules A7, X11)."""

import pytest

GOOD = """
from promissory import task, workflow

@task
def load(n: int) -> int:
    return n

@workflow
def monthly(n: int) -> int:
    return load(n)
"""

WRONG = {
    "a missing key": ('SETTINGS = {}\nRAISE = lambda: SETTINGS["limit"]', "KeyError"),
    "an exit": ("import sys\nRAISE = lambda: sys.exit(0)", "SystemExit"),
    "a signal": ("from promissory import Loop\ndef RAISE():\n    raise Loop(1)", "Loop"),
    "endless": ("def RAISE():\n    return RAISE()", "RecursionError"),
    "unsayable": (
        "class Odd(Exception):\n    def __str__(self):\n        raise RuntimeError('no text')\n"
        "def RAISE():\n    raise Odd",
        "Odd",
    ),
    "an assertion": ("def RAISE():\n    assert False", "AssertionError"),
}


def flow(defines):
    return (
        f"{GOOD}\n{defines}\n\n@workflow\ndef nightly(n: int) -> int:\n    return load(RAISE())\n\n"
        '@workflow\ndef weekly(n: int) -> int:\n    return load("text")\n\n'
        "@workflow\ndef daily(n: int) -> int:\n    return load(n)\n"
    )


@pytest.mark.full(keep=3)
@pytest.mark.parametrize("kind", WRONG)
def test_A7_check_tells_what_an_authors_body_raised_with_its_workflow_and_goes_on(shell, kind):
    defines, name = WRONG[kind]
    shell.write("a.py", flow(defines))
    shell.write("b.py", GOOD.replace("monthly", "yearly"))
    ended = shell.promissory("check", "a.py", "b.py")
    assert ended.returncode == 3
    assert [name in line for line in ended.stderr.splitlines() if line.startswith("a.py: nightly: ")] == [True]
    assert "a.py: weekly: load" in ended.stderr
    assert "a.py: monthly: 1 node, well" in ended.stderr
    assert "a.py: daily: 1 node, well" in ended.stderr
    assert "b.py: yearly: 1 node, well" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_A7_check_tells_the_authors_line(shell):
    path = shell.write("a.py", flow(WRONG["a missing key"][0]))
    line = next(at for at, text in enumerate(path.read_text().splitlines(), 1) if "RAISE())" in text)
    assert f"a.py:{line}" in shell.promissory("check", "a.py").stderr


def test_A7_check_goes_on_after_a_file_whose_import_raises_what_can_not_be_said(shell):
    shell.write(
        "a.py", "class Odd(Exception):\n    def __str__(self):\n        raise RuntimeError('no')\n\nraise Odd\n"
    )
    shell.write("b.py", GOOD)
    ended = shell.promissory("check", "a.py", "b.py")
    assert ended.returncode != 0
    assert "a.py" in ended.stderr and "Odd" in ended.stderr
    assert "b.py: monthly: 1 node, well" in ended.stderr


def test_R3_check_lists_what_a_code_version_does_not_see(cli, shell):
    shell.write(
        "flow.py",
        """
        import sched
        from promissory import task, workflow

        plan = sched.scheduler()

        @task(cache=True, cache_version="code")
        def waits(n: int) -> int:
            return n + len(plan.queue)

        @task(cache=True, cache_version="1")
        def other(n: int) -> int:
            return n + len(plan.queue)

        @workflow
        def main(n: int) -> int:
            return waits(other(n))
        """,
    )
    code, _, said = cli("check", "flow.py")
    assert code == 0
    assert (
        'flow.py: main: waits: cache_version="code" does not see this: flow:waits uses plan, a sched.scheduler,' in said
    )
    assert said.count("does not see") == 1


def test_A12_check_lists_captured_values_that_count_by_their_class(shell, cli):
    shell.write(
        "flow.py",
        """
        import functools, threading
        from promissory import task, workflow

        def guarded(function):
            lock = threading.Lock()
            @functools.wraps(function)
            def inner(*args, **kwargs):
                with lock:
                    return function(*args, **kwargs)
            return inner

        @task
        @guarded
        def counts(x: int) -> int:
            return x

        @workflow
        def flow(x: int = 1) -> int:
            return counts(x)
        """,
    )
    code, _, err = cli("check", "flow.py")
    assert code == 0
    assert "counts: it captured lock, a _thread.lock, which counts by its class: two of one class are the same" in err
