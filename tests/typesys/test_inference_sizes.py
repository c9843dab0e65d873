"""How large the type of records that mention each other may become."""

from dataclasses import dataclass

from promissory.typesys import codec_of, type_of
from promissory.typesys.type_format import type_bytes


@dataclass
class Add:
    left: "Add | Sub | Mul | Div | Neg | int"
    right: "Add | Sub | Mul | Div | Neg | int"


@dataclass
class Sub:
    left: "Add | Sub | Mul | Div | Neg | int"
    right: "Add | Sub | Mul | Div | Neg | int"


@dataclass
class Mul:
    left: "Add | Sub | Mul | Div | Neg | int"
    right: "Add | Sub | Mul | Div | Neg | int"


@dataclass
class Div:
    left: "Add | Sub | Mul | Div | Neg | int"
    right: "Add | Sub | Mul | Div | Neg | int"


@dataclass
class Neg:
    value: "Add | Sub | Mul | Div | Neg | int"


def test_records_that_all_mention_each_other_have_a_type_of_reasonable_size():
    assert len(type_bytes(type_of(Add))) < 20_000


def test_values_of_records_that_all_mention_each_other_come_back():
    codec = codec_of(Add)
    value = Add(Sub(1, Mul(2, Add(3, 4))), Neg(Div(Neg(5), Sub(6, Add(7, 8)))))
    assert codec.decode(codec.encode(value)) == value
