"""The messages between the executor's parts, as data: events, calls and outcomes, failures, limits. No I/O, no
state."""
