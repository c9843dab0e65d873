"""`promissory stop`: stop a run so that it can be resumed."""

from promissory.executor.cli.telling import telling

command = telling(
    "stop", "Start nothing new, let what runs finish, and leave the run to be resumed.", "is stopped", "resume"
)
