"""Entities, which an author decorates or builds: tasks, workflows, dynamics."""
