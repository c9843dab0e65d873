"""`promissory unpause`: have a paused run go on."""

from promissory.executor.cli.telling import telling

command = telling("unpause", "Have a paused run go on.", "goes on")
