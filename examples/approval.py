"""Wait for somebody's yes before something is published.

    promissory run --run-id release examples/approval.py &
    promissory answer release ship yes

No worker waits, and a run that is stopped and resumed waits on. As a program the example answers itself.
"""

from promissory import approve, sleep, task, workflow


@task
def draft(title: str) -> str:
    """Write the text that is to be published."""
    return f"Draft: {title}"


@task
def publish(text: str) -> str:
    """Publish the text."""
    return text.replace("Draft", "Published")


@workflow
def release(title: str = "Plans that survive") -> str:
    """Publish a text that somebody has agreed to."""
    agreed = approve(draft(title), "ship", timeout=3600)
    settled = sleep(0.05)
    published = publish(agreed)
    settled >> published
    return published


if __name__ == "__main__":
    import promissory

    run = promissory.start(release, store="memory://approval")
    run.answer("ship", True)
    print(run.result)
