"""The state machine: events in, calls out. No I/O, no clock, no threads."""
