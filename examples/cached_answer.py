"""Stop early when the answer is known already.

    python examples/cached_answer.py

`look_up` ends the run well when it finds the answer. The answer is then the run's result, and the expensive task is
never started.
"""

from promissory import Context, task, workflow

KNOWN = {"what is six by seven": 42}


@task
def look_up(ctx: Context, question: str) -> str:
    """Give the question, if its answer is not known yet."""
    if question in KNOWN:
        ctx.terminate(f"the answer to {question!r} is known", outputs=KNOWN[question])
    return question


@task
def work_out(question: str) -> int:
    """Find the answer, with a lot of work."""
    return len(question)


@workflow
def answer(question: str) -> int:
    """Answer a question."""
    return work_out(look_up(question))


if __name__ == "__main__":
    import promissory

    for question in ("what is six by seven", "how long is this"):
        run = promissory.run(answer, {"question": question}, store="memory://answers")
        print(run.state, run.result, [row.path for row in run.nodes() if row.state == "SUCCEEDED"])
