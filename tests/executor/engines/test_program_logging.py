"""X5: logging that a program sets up at its module's level is set up so in workers, by the module itself."""

import pytest

SETUPS = {
    "braces": 'logging.basicConfig(level=logging.INFO, format="{levelname} {message}", style="{")',
    "a formatter of one's own": """
class Shouts(logging.Formatter):
    def __init__(self):
        pass
    def format(self, record):
        return record.getMessage().upper() + " worked on 1"
handler = logging.StreamHandler()
handler.setFormatter(Shouts())
logging.basicConfig(level=logging.INFO, handlers=[handler])
""",
    "a field from a filter": """
class Request(logging.Filter):
    def filter(self, record):
        record.request = "r1"
        return True
handler = logging.StreamHandler()
handler.addFilter(Request())
logging.basicConfig(level=logging.INFO, format="%(request)s %(message)s", handlers=[handler])
""",
    "defaults of fields": """
handler = logging.StreamHandler()
handler.setFormatter(logging.Formatter("%(request)s %(message)s", defaults={"request": "r1"}))
logging.basicConfig(level=logging.INFO, handlers=[handler])
""",
    "by hand": """
handler = logging.StreamHandler()
handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
logging.getLogger().addHandler(handler)
logging.getLogger().setLevel(logging.INFO)
""",
    "dictConfig": """
import logging.config
logging.config.dictConfig({
    "version": 1, "formatters": {"f": {"format": "{message}", "style": "{"}},
    "handlers": {"h": {"class": "logging.StreamHandler", "formatter": "f"}},
    "root": {"level": "INFO", "handlers": ["h"]},
})
""",
    "to a file": 'logging.basicConfig(level=logging.INFO, filename="own.log")',
    "a handler without a formatter": "logging.basicConfig(level=logging.INFO, handlers=[logging.NullHandler()])",
}
PROGRAM = """
import logging, sys
%s
from promissory import run, task

@task
def work(n: int) -> int:
    logging.getLogger("lib").info("worked on %%d", n)
    return n

if __name__ == "__main__":
    run(work, {"n": 1}, engine=sys.argv[1], run_id=sys.argv[1]).result
"""


def shown(project, engine):
    """(how often the record is on stderr, how often in the program's own file) of a run on an engine."""
    (project.folder / "own.log").unlink(missing_ok=True)
    process = project.spawn("program.py", engine)
    _, errors = project.finish(process)
    assert process.returncode == 0, errors
    assert "Logging error" not in errors
    return errors.count("worked on 1"), "".join(project.lines("own.log")).count("worked on 1")


@pytest.mark.parametrize("setup", SETUPS)
@pytest.mark.full(keep=3)
def test_X5_a_record_is_shown_once_and_in_the_programs_form_on_each_engine(project, setup):
    project.write("program.py", PROGRAM % SETUPS[setup])
    assert shown(project, "processes") == shown(project, "inline")


def test_X5_logging_set_up_in_the_main_block_alone_keeps_no_record_from_the_log(project):
    """Workers import the program and run no main block; from INFO on everything is in the log all the same."""
    project.write(
        "program.py",
        PROGRAM.replace("%s", "")
        .replace("%%", "%")
        .replace(
            '"__main__":', '"__main__":\n    logging.basicConfig(level=logging.INFO, format="{message}", style="{")'
        ),
    )
    project.python("program.py", "processes")
    assert "worked on 1" in project.python("-m", "promissory", "logs", "processes")
