"""What can be done with runs that are over: check, copy, collect."""
