"""Models of pydantic: classes like any other for a checker; constraints are for the run."""

from typing import assert_type

from pydantic import BaseModel, Field

from promissory import map_task, run, task, workflow


class Order(BaseModel):
    customer: str
    amount: float = Field(gt=0)
    tags: list[str] = []


class Bill(BaseModel):
    order: Order
    total: float


@task
def discount(customer: str) -> float:
    return 0.9 if customer == "Ada" else 1.0


@task
def total(amount: float, factor: float) -> float:
    return round(amount * factor, 2)


@task
def checked(order: Order) -> Order:
    return order


@workflow
def bill(order: Order) -> Bill:
    factor = discount(order.customer)
    return Bill(order=order, total=total(order.amount, factor))


def results(order: Order) -> None:
    assert_type(checked(order), Order)
    assert_type(checked(order).tags, list[str])
    assert_type(bill(order), Bill)
    assert_type(bill(order).order.amount, float)
    assert_type(bill(checked(order)).total, float)
    assert_type(map_task(checked)([order]), list[Order])
    assert_type(run(bill, {"order": order}).result, Bill)


def refused(order: Order) -> None:
    checked({"customer": "Ada"})  # error: a dict is no Order
    checked(bill(order))  # error: a Bill is no Order
    discount(order.amount)  # error: a float is no str
    order.name  # error: an Order has no such field
    bill(order).orders  # error: a Bill has no such field
    Order(customer=discount("a"), amount=1)  # error: a float is no str
