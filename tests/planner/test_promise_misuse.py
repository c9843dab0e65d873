"""P2: everything that needs a promise's value raises at once, with the author's line and the way out."""

import asyncio
import copy
import json
import math
import operator
import os
import pickle
import random
from dataclasses import dataclass

import pytest

from promissory import task, workflow
from promissory.errors import PromiseError


@dataclass
class Row:
    price: float
    tags: list[str]


@task
def number() -> int:
    return 1


@task
def numbers() -> list[int]:
    return [1]


@task
def row() -> Row:
    return Row(1.0, [])


def branch(p):
    if p:
        pass


def loop_while(p):
    while p:
        break


def loop_for(p):
    for _ in p:
        break


def matched(p):
    match p:
        case 3:
            pass


def managed(p):
    with p:
        pass


def item_set(p):
    p[0] = 1


def item_deleted(p):
    del p[0]


def field_set(p):
    p.price = 1.0


def field_deleted(p):
    del p.price


def added_in_place(p):
    p += 1


def awaited(p):
    async def body():
        await p

    asyncio.run(body())


def unpacked_as_keywords(p):
    number(**p)


def unpacked_as_arguments(p):
    number(*p)


ANY_TYPE = {
    "if": branch,
    "while": loop_while,
    "not": lambda p: not p,
    "and": lambda p: p and 1,
    "or": lambda p: p or 1,
    "conditional expression": lambda p: 1 if p else 2,
    "bool()": bool,
    "assert": lambda p: operator.truth(p),
    "match": matched,
    "comparison in if": lambda p: 1 if p == 3 else 2,
    "chained comparison": lambda p: 1 < p < 3,
    "all()": lambda p: all([p]),
    "len()": len,
    "for": loop_for,
    "iter()": iter,
    "list()": list,
    "tuple()": tuple,
    "set()": set,
    "dict()": dict,
    "sum()": sum,
    "zip()": lambda p: list(zip(p, p)),
    "enumerate()": lambda p: list(enumerate(p)),
    "map()": lambda p: list(map(str, p)),
    "*p": unpacked_as_arguments,
    "**p": unpacked_as_keywords,
    "in p": lambda p: 1 in p,
    "p in list": lambda p: p in [1, 2],
    "list.index(p)": lambda p: [1].index(p),
    "next()": next,
    "reversed()": reversed,
    "sorted()": lambda p: sorted([p, p]),
    "max()": lambda p: max(p, 1),
    "min()": lambda p: min([p, p]),
    "+": lambda p: p + 1,
    "-": lambda p: p - 1,
    "*": lambda p: p * 2,
    "/": lambda p: p / 2,
    "//": lambda p: p // 2,
    "%": lambda p: p % 2,
    "**": lambda p: p**2,
    "@": lambda p: p @ p,
    "<<": lambda p: p << 1,
    "^": lambda p: p ^ 1,
    "divmod()": lambda p: divmod(p, 2),
    "pow()": lambda p: pow(p, 2, 5),
    "1 +": lambda p: 1 + p,
    "1 -": lambda p: 1 - p,
    "2 *": lambda p: 2 * p,
    "2 /": lambda p: 2 / p,
    "2 //": lambda p: 2 // p,
    "2 %": lambda p: 2 % p,
    "2 **": lambda p: 2**p,
    "2 <<": lambda p: 2 << p,
    "2 ^": lambda p: 2 ^ p,
    "2 &": lambda p: 2 & p,
    "2 |": lambda p: 2 | p,
    "divmod(7, p)": lambda p: divmod(7, p),
    "text +": lambda p: "a" + p,
    "list +": lambda p: [1] + p,
    "sum of promises": lambda p: sum([p, p]),
    "+=": added_in_place,
    "-p": operator.neg,
    "+p": operator.pos,
    "~p in if": lambda p: 1 if ~p else 2,
    "abs()": abs,
    "round()": round,
    "int()": int,
    "float()": float,
    "complex()": complex,
    "bytes()": bytes,
    "index": operator.index,
    "hex()": hex,
    "range()": range,
    "math.sqrt": math.sqrt,
    "math.floor": math.floor,
    "math.ceil": math.ceil,
    "math.trunc": math.trunc,
    "as an index": lambda p: [1, 2][p],
    "in a slice of a list": lambda p: [1, 2][p:],
    "slice": lambda p: p[1:2],
    "promise as index": lambda p: p[p],
    "text as index": lambda p: p["a"],
    "method": lambda p: p.append(3),
    "p.get()": lambda p: p.get("a"),
    "call": lambda p: p(),
    "f-string": lambda p: f"{p}",
    "f-string with format": lambda p: f"{p:>10}",
    "format()": lambda p: format(p, "d"),
    "str.format": lambda p: "{}".format(p),  # noqa: UP032
    "%d": lambda p: "%d" % p,  # noqa: UP031
    "str.join": lambda p: ", ".join([p]),
    "hash()": hash,
    "in a set": lambda p: {p},
    "as a key": lambda p: {p: 1},
    "as a looked up key": lambda p: {1: 2}[p],
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "copy.deepcopy of a list": lambda p: copy.deepcopy([p]),
    "pickle.dumps": pickle.dumps,
    "json.dumps": json.dumps,
    "random.choice": random.choice,
    "await": awaited,
    "with": managed,
    "open()": open,
    "os.fspath": os.fspath,
    "os.path.join": lambda p: os.path.join("a", p),
    "item set": item_set,
    "item deleted": item_deleted,
    "field set": field_set,
    "field deleted": field_deleted,
}

# Here Python looks at the class alone and asks the promise nothing, so the words are Python's.
PYTHON_DECIDES = {"%d", "str.join", "json.dumps", "**p", "list +"}

CASES = [
    pytest.param(source, misuse, id=f"{source.name}: {name}")
    for name, misuse in ANY_TYPE.items()
    if name not in PYTHON_DECIDES
    for source in (number, numbers, row)
]


@pytest.mark.parametrize(("source", "misuse"), CASES)
def test_P2_a_misused_promise_raises_at_once_with_line_and_way_out(source, misuse):
    went_on = []

    @workflow
    def flow() -> int:
        p = source()
        misuse(p)
        went_on.append(p)
        return 1

    with pytest.raises(PromiseError) as caught:
        flow.compile()
    assert isinstance(caught.value, TypeError)
    assert went_on == []
    assert caught.value.way_out
    lines = [flow.function.__code__.co_firstlineno + 3]
    if hasattr(misuse, "__code__") and misuse.__code__.co_filename == __file__:
        first = misuse.__code__.co_firstlineno
        lines += range(first, first + 7)
    assert caught.value.where.file == __file__
    assert caught.value.where.line in lines


@pytest.mark.parametrize("name", sorted(PYTHON_DECIDES))
def test_P2_what_python_refuses_by_itself_is_a_TypeError(name):
    @workflow
    def flow() -> int:
        ANY_TYPE[name](number())
        return 1

    with pytest.raises(TypeError):
        flow.compile()
