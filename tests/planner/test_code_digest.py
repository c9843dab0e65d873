"""A11: what a callable's digest sees (code, defaults, captured values) and what it does not (layout, comments,
decorators).
"""

import functools
import threading

import pytest

from promissory import dynamic, task
from promissory.planner.functions.identity import identify, significant_lexemes

BASE = """
@task
def f(a: int, b: int = 2) -> int:
    total = a + b
    return total
"""

SAME = {
    "a comment": BASE.replace("total = a + b", "total = a + b  # added"),
    "a comment line": BASE.replace("    return", "    # now\n    return"),
    "blank lines": BASE.replace("    return", "\n\n    return"),
    "a docstring": BASE.replace("    total =", '    """What it does."""\n    total ='),
    "a docstring of several lines": BASE.replace("    total =", '    """What.\n\n    More.\n    """\n    total ='),
    "a wider indent": BASE.replace("    ", "        "),
    "an indent by tab": BASE.replace("    ", "\t"),
    "spaces": BASE.replace("a + b", "a  +  b").replace("(a: int, b: int = 2)", "( a:int,b:int=2 )"),
    "a broken line": BASE.replace("(a: int, b: int = 2)", "(\n    a: int,\n    b: int = 2\n)"),
    "a continued line": BASE.replace("a + b", "a \\\n        + b"),
    "a strict decorator": BASE.replace("@task", "@task(strict=True)"),
    "a decorator over lines": BASE.replace("@task", "@task(\n    strict=True,\n)"),
    "code around it": "import os\n\nclass Before:\n    pass\n" + BASE + "\n\ndef after():\n    return 1\n",
    "no newline at the end": BASE.rstrip("\n"),
}

OTHER = {
    "another operator": BASE.replace("a + b", "a - b"),
    "another constant": BASE.replace("total = a + b", "total = a + b + 1"),
    "another name": BASE.replace("total", "result"),
    "another default": BASE.replace("b: int = 2", "b: int = 3"),
    "another annotation": BASE.replace("b: int = 2", "b: float = 2"),
    "another parameter": BASE.replace("b: int = 2", "b: int = 2, c: int = 3"),
    "another function name": BASE.replace("def f(", "def g("),
    "another text": BASE.replace("return total", "return len('a')"),
    "another block": BASE.replace("    return total", "    if a:\n        total += 1\n    return total"),
    "a statement moved out of its block": BASE.replace(
        "    return total", "    if a:\n        total += 1\n        total += 2\n    return total"
    ),
    "async": BASE.replace("def f(", "async def f("),
}


def digest_of(write_module, name, source):
    module = write_module(name, "from promissory import task\n" + source)
    return (getattr(module, "f", None) or module.g).callee().digest


@pytest.mark.parametrize("change", SAME)
def test_A11_the_digest_ignores(write_module, change):
    assert digest_of(write_module, "digest_base", BASE) == digest_of(write_module, "digest_same", SAME[change])


@pytest.mark.parametrize("change", OTHER)
def test_A11_the_digest_sees(write_module, change):
    assert digest_of(write_module, "digest_base", BASE) != digest_of(write_module, "digest_other", OTHER[change])


def test_A11_every_change_gives_its_own_digest(write_module):
    digests = {digest_of(write_module, f"digest_each_{index}", source) for index, source in enumerate(OTHER.values())}
    assert len(digests) == len(OTHER)


def lexemes(source):
    return list(significant_lexemes(source))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("return f'{a}!'", "f'{a}!'"),
        ("return f'{a!r:>{b}}' + 'z'", "f'{a!r:>{b}}'"),
        ('return f"{a["k"]}"' if False else "return f\"{a['k']}\"", "f\"{a['k']}\""),
        ("return f'é{a}ü'", "f'é{a}ü'"),
        ("x = 'é'; return f'{a}'", "f'{a}'"),
        ("return f'''{a}\n  two {b}\n'''", "f'''{a}\n  two {b}\n'''"),
        ("return rf'\\d{a}{{}}'", "rf'\\d{a}{{}}'"),
        ("return f'{f\"{a}\"}'", "f'{f\"{a}\"}'"),
        ("# a form feed: \x0c in a comment\n    return f'{a}'", "f'{a}'"),
        ("x = 'a\x0c\x1c\x85\u2028b'; return f'{a}'", "f'{a}'"),
    ],
)
def test_A11_a_formatted_string_is_one_lexeme_on_every_python(body, text):
    assert (2, text) in lexemes(f"def f(a, b):\n    {body}\n")


def test_A11_a_form_feed_does_not_move_what_follows(write_module):
    plain = "@task\ndef f(a: int) -> str:\n    # note\n    return f'{a} is {a + 1}'\n"
    assert digest_of(write_module, "plain_feed", plain) == digest_of(
        write_module, "with_feed", plain.replace("# note", "# no\x0cte")
    )


def test_A11_the_digest_ends_with_the_function():
    one = "def f(a):\n    return a\n"
    assert lexemes(one) == lexemes(one + "def g(b):\n    return b\n") == lexemes(one + "x = [1,\n")
    assert lexemes("def f(a): return a\n") == lexemes("def f(a): return a\nx = 1\n")


def scaled(k):
    @task
    def times(x: int) -> int:
        return x * k

    return times


def applied(f):
    @task
    def apply(x: int) -> int:
        return f(x)

    return apply


def repeated(n):
    def decorate(f):
        @functools.wraps(f)
        def again(x):
            for _ in range(n):
                x = f(x)
            return x

        return again

    return decorate


def add_one(x):
    return x + 1


def add_two(x):
    return x + 2


def class_of(k):
    class Made:
        def value(self):
            return k

    return Made


CAPTURED_APART = [
    (scaled, 2, 3),
    (scaled, 2, 2.0),
    (scaled, True, 1),
    (scaled, "2", b"2"),
    (scaled, [1, 2], (1, 2)),
    (scaled, {1, 2}, {1, 3}),
    (scaled, None, 0),
    (applied, add_one, add_two),
    (applied, scaled(1), scaled(2)),
    (applied, lambda x: x + 1, lambda x: x + 2),
    (applied, repeated(1)(add_one), repeated(2)(add_one)),
    (applied, len, abs),
    (applied, class_of(1), class_of(2)),
]


@pytest.mark.parametrize(("factory", "one", "other"), CAPTURED_APART, ids=range(len(CAPTURED_APART)))
def test_A11_two_closures_that_captured_other_values_are_two_callees(factory, one, other):
    first, second = factory(one).callee(), factory(other).callee()
    assert first.name == second.name
    assert first.digest != second.digest
    assert factory(one).callee() == first or len(first.digest) == 16


@pytest.mark.parametrize("captured", [3, "a", {"k": [1.5, None]}, {3, 1, 2}, add_one, len, scaled(4)])
def test_A11_two_closures_that_captured_equal_values_are_one_callee(captured):
    assert applied(captured).callee() == applied(captured).callee()
    assert len(applied(captured).callee().digest) == 32


def test_A11_what_has_no_canonical_bytes_has_no_digest():
    one, other = scaled(threading.Lock()).callee().digest, scaled(threading.Lock()).callee().digest
    assert len(one) == len(other) == 16
    assert one != other


def test_A11_a_captured_variable_that_changed_changes_the_digest():
    k = 1

    @task
    def plus(x: int) -> int:
        return x + k

    before = plus.callee().digest
    k = 2
    assert plus.callee().digest != before


def test_A11_functions_that_capture_themselves_and_each_other_have_digests():
    @dynamic
    def even(n: int) -> bool:
        return odd(n - 1) if n else True

    @dynamic
    def odd(n: int) -> bool:
        return even(n - 1) if n else False

    assert {len(even.callee().digest), len(odd.callee().digest)} == {32}
    assert even.callee().digest != odd.callee().digest


def test_A11_keyword_only_defaults_are_part_of_it():
    def make(k):
        def f(x, *, by=k):
            return x + by

        return f

    assert identify(make(1)) == identify(make(1)) != identify(make(2))
