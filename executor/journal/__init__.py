"""The run's journal: one executor writes it, any process reads it."""
