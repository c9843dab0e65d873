"""`promissory pause`: have a run start nothing new for the time being."""

from promissory.executor.cli.telling import telling

command = telling(
    "pause",
    "Have a run start nothing new until `unpause`; what runs may finish. Returns when the run has taken note.",
    "is paused",
    "unpause",
)
