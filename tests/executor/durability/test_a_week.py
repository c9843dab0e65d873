"""D8, R6: a body that is open for a week of simulated time, over three kills and changes of its code and its tasks."""

from promissory.executor.history.history import History

WEEK = """
    import asyncio
    import os
    import time
    from pathlib import Path

    from promissory import dynamic, task, value

    @task
    def step(day: int) -> str:
        with open("ran", "a") as ran:
            ran.write(f"{day}\\n")
        if Path(f"kill-{day}").exists():
            os.remove(f"kill-{day}")
            Path("reached").touch()
            while True:
                time.sleep(60)
        return f"day {day} by TASK"

    @dynamic
    async def week(days: int) -> list[str]:
        found = []
        for day in range(days):
            found.append(await value(step(day)))
            await asyncio.sleep(86_400)
        return [*found, "BODY"]
"""

BEGIN = """
import week_long, promissory
from promissory.testing import MockClock
promissory.run(week_long.week, {"days": 7}, run_id="week", echo=False, clock=MockClock())
"""

RESUME = """
import sys, promissory
from promissory.testing import MockClock
done = promissory.resume("week", echo=False, clock=MockClock(), engine=sys.argv[1])
print(done.result)
"""


def test_D8_a_body_is_open_for_a_week(project, eventually):
    def code(task, body):
        project.write("week_long.py", WEEK.replace("TASK", task).replace("BODY", body))

    def committed(day):
        rows = History(project.store, "week").nodes()
        return sum(row.state == "SUCCEEDED" for row in rows) == day

    def killed(day, *arguments):
        process = project.spawn(*arguments)
        eventually(lambda: (project.folder / "reached").exists(), "the day of the kill")
        eventually(lambda: committed(day), "the commit of the days before")
        process.kill()
        process.wait()
        (project.folder / "reached").unlink()

    for day in (1, 3, 5):
        (project.folder / f"kill-{day}").touch()
    code("Ann", "old")
    killed(1, "-c", BEGIN)
    code("Bob", "old")
    killed(3, "-c", RESUME, "inline")
    code("Cid", "new")
    _, said = project.finish(project.spawn("-c", RESUME, "inline"))
    assert "CodeChanged" in said
    killed(5, "-c", RESUME, "processes")
    found = eval(project.python("-c", RESUME, "processes"))
    assert found == [
        "day 0 by Ann",
        "day 1 by Bob",
        "day 2 by Bob",
        "day 3 by Cid",
        "day 4 by Cid",
        "day 5 by Cid",
        "day 6 by Cid",
        "old",
    ]
    assert project.lines("ran") == ["0", "1", "1", "2", "3", "3", "4", "5", "5", "6"]
