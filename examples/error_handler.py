"""Go to an error handler instead of going on.

    python examples/error_handler.py

`load` jumps to `quarantine` when it can't use its file: `publish`, which only follows `load`, is skipped, and `report`
runs in either case. Because a jump is the only way to `quarantine`, that node does not start by itself.
"""

from promissory import Context, Workflow, task


@task
def load(ctx: Context, file: str) -> None:
    """Read a file, or send the run to quarantine."""
    print(f"load {file}")
    if not file.endswith(".csv"):
        ctx.next_task("quarantine", goto=True)


@task
def publish() -> None:
    """Publish the file."""
    print("publish")


@task
def quarantine() -> None:
    """Put the file aside."""
    print("quarantine")


@task
def report() -> None:
    """Report in either case."""
    print("report")


with Workflow("load_file") as wf:
    file = wf.add_workflow_input("file", str)
    loaded, published, put_aside, reported = load(file), publish(), quarantine(), report()
    loaded >> published >> reported
    put_aside >> reported


if __name__ == "__main__":
    wf.run(file="good.csv")
    wf.run(file="bad.exe")
