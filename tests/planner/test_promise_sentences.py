"""P2: the sentence that a misused promise raises, word for word."""

import copy

import pytest

from promissory import task, workflow
from promissory.errors import PromiseError


@task
def number() -> int:
    return 1


def branch(p):
    if p:
        pass


@pytest.mark.parametrize(
    ("misuse", "message"),
    [
        (
            branch,
            "the truth of number() was asked for (if, while, not, and, or), but the value is not there before the run",
        ),
        (len, "len() of number() was asked for, but the value is not there before the run"),
        (list, "number() can't be iterated or unpacked: how many items int has is not known before the run"),
        (lambda p: 1 + p, "arithmetic of number() was asked for, but the value is not there before the run"),
        (lambda p: p[1:2], "number()[…:…] takes a slice of a promise, but the value is not there before the run"),
        (
            lambda p: p[p],
            "number()[number()] takes an item whose position is a promise itself, but the value is not "
            "there before the run",
        ),
        (hash, "number() was used as a key of a dict or a member of a set, but the value is not there before the run"),
        (lambda p: f"{p}", "number() was put into an f-string or format(), but the value is not there before the run"),
        (lambda p: p.real, "number() is a promise of int, which has no field 'real'; methods need the value"),
        (copy.deepcopy, "a copy of number() was asked for, but the value is not there before the run"),
        (lambda p: p(), "number() was called, but the value is not there before the run"),
    ],
)
def test_P2_the_sentence_says_what_was_done_to_which_value(misuse, message):
    @workflow
    def flow() -> int:
        misuse(number())
        return 1

    with pytest.raises(PromiseError) as caught:
        flow.compile()
    assert caught.value.message == message


@pytest.mark.parametrize("misuse", [branch, len, lambda p: p + 1, lambda p: f"{p}"])
def test_P2_an_input_is_a_promise_as_well(misuse):
    @workflow
    def flow(x: int) -> int:
        misuse(x)
        return 1

    with pytest.raises(PromiseError, match="input x"):
        flow.compile()
