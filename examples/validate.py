"""Cancel a run whose input is unfit.

    python examples/validate.py

A task that cancels does not complete, and stores nothing. No further node starts, and the caller gets
`WorkflowCancelled` with the reason and the task's name, however deep the task was.
"""

from promissory import Context, task, workflow


@task
def validate(ctx: Context, rows: list[int]) -> list[int]:
    """Give the rows, if all of them can be used."""
    bad = [row for row in rows if row < 0]
    if bad:
        ctx.cancel(f"{len(bad)} rows are below zero")
    return rows


@task
def process(rows: list[int]) -> int:
    """Process the rows."""
    return sum(rows)


@workflow
def checked(rows: list[int]) -> int:
    """Process rows only if all are fit."""
    return process(validate(rows))


if __name__ == "__main__":
    from promissory.errors import WorkflowCancelled

    print(checked([1, 2, 3]))
    try:
        checked([1, -2, -3])
    except WorkflowCancelled as cancelled:
        print(f"{cancelled.task_id}: {cancelled.reason}")
