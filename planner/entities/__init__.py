"""What an author decorates or builds: tasks, workflows, dynamics."""
