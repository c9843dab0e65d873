"""The run's log: written by one executor, read by anybody."""
