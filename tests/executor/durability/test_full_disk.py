"""J1: a disk that fills up stops the run with a clear error; what was acknowledged is there, and a resume goes on."""

import json

import pytest

MODULE = """
import os, resource
from promissory import task, workflow

LIMIT = int(os.environ.get("FULL_FROM", "0"))

@task
def step(x: int) -> int:
    with open("started", "a") as file:
        file.write(f"{x}\\n")
    if LIMIT and x == LIMIT and not os.path.exists("filled-up"):
        open("filled-up", "w").close()
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["BYTES"]), resource.RLIM_INFINITY))
    return x + 1

@task
def list_of(x: int) -> list[int]:
    return list(range(x, x + 4000))

@task
def total(values: list[int]) -> int:
    return len(values)

@workflow
def chain(x: int) -> int:
    for _ in range(6):
        x = step(x)
    many = list_of(x)
    x = step(x)
    for _ in range(5):
        x = step(x)
    many >> x
    return step(total(many))
"""

RUN = """
import json, resource
from promissory import run
from promissory.errors import StoreError
from full import chain

acknowledged = []
try:
    run(chain, {"x": 0}, run_id="full", on_progress=lambda progress: acknowledged.append(progress.done))
except StoreError as error:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(json.dumps({"error": str(error), "notes": error.__notes__}))
else:
    print(json.dumps({"error": None}))
"""

RESUME = """
from promissory import resume
print(resume("full").result)
"""


@pytest.mark.parametrize("bytes_left", [0, 2000])
def test_J1_a_full_disk_is_a_clear_error_and_a_resume_succeeds(project, events_of, bytes_left):
    project.write("full.py", MODULE)
    told = json.loads(project.code(RUN, FULL_FROM="3", BYTES=str(bytes_left)))
    assert told["error"].startswith("can't write ")
    assert "File too large" in told["error"]
    assert "promissory resume full" in told["notes"][0]
    committed = [event for event in events_of(project.store, "full") if event[0] == 0]
    before = project.lines("started")
    assert project.code(RESUME).split() == ["4001"]
    again = project.lines("started")[len(before) :]
    assert len(again) <= 13 - len([event for event in committed if event[2] != 6])
    assert not list((project.folder / "store").rglob(".tmp-*"))


def test_J1_the_process_whose_disk_was_full_can_resume_itself(project):
    """A notebook lives on: nobody works on the run any more, also if the last word of its heartbeat could not be
    written.
    """
    project.write("full.py", MODULE)
    output = project.code(
        RUN + "\nfrom promissory import resume\nprint(resume('full').result)\n", FULL_FROM="3", BYTES="0"
    )
    assert output.splitlines()[-1] == "4001"
