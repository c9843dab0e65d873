"""Read orders from CSV files, keep the good ones as Parquet, and the bad ones with the reason: files, models, frames.

    python examples/orders.py

Each row becomes a pydantic model, whose constraints decide. What is rejected is a file of its own, by its content, so a
second run on the same input takes the cached outcome. Needs pydantic, pandas and pyarrow: pip install
'promissory[pydantic,pandas]'.
"""

import csv
import io
import json
from dataclasses import dataclass
from typing import Literal

import pandas as pd
from pydantic import BaseModel, Field, ValidationError

from promissory import Context, File, map_task, task, workflow


class Order(BaseModel):
    """One row of an input."""

    order: int = Field(ge=1)
    customer: str = Field(min_length=1)
    amount: float = Field(gt=0)


@dataclass
class Sorted:
    """The good rows of an input, and a file with the others."""

    orders: list[Order]
    rejected: File


@task(cache=True, cache_version="1")
def read(source: File[Literal["csv"]]) -> Sorted:
    """Make an order of each row. A row that is none goes into the file of the rejected, with what is wrong."""
    good, bad = [], []
    with source.open(newline="") as stream:
        for number, row in enumerate(csv.DictReader(stream), 2):
            try:
                good.append(Order.model_validate(row))
            except ValidationError as error:
                why = "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors())
                bad.append(json.dumps({"line": number, "row": row, "why": why}))
    return Sorted(good, File("".join(f"{line}\n" for line in bad).encode(), name=f"{source.name}.rejected.jsonl"))


@task
def frame(parts: list[Sorted]) -> pd.DataFrame:
    """Put the orders of all inputs into one frame."""
    rows = [order.model_dump() for part in parts for order in part.orders]
    return pd.DataFrame(rows, columns=["order", "customer", "amount"]).astype({"order": "int64", "amount": "float64"})


@task
def parquet(ctx: Context, orders: pd.DataFrame) -> File:
    """Write the frame as a Parquet file."""
    path = ctx.workdir / "orders.parquet"
    orders.to_parquet(path, index=False)
    return File(path)


@task
def rejected(parts: list[Sorted]) -> list[File]:
    """Give the files of the rejected that are not empty."""
    return [part.rejected for part in parts if part.rejected.size]


@workflow
def load(sources: list[File[Literal["csv"]]]) -> tuple[File, list[File]]:
    """Give the good rows of all inputs as Parquet, and the rejected ones."""
    parts = map_task(read)(sources)
    return parquet(frame(parts)), rejected(parts)


EXAMPLE = b"""order,customer,amount
1,Ada,10.5
2,,3
3,Bob,-1
4,Cid,7
"""

if __name__ == "__main__":
    table, bad = load([File(EXAMPLE, name="monday.csv")])
    print(pd.read_parquet(io.BytesIO(table.read_bytes())).to_string(index=False))
    for one in bad:
        print(f"{one.name}:\n{one.read_text()}", end="")
