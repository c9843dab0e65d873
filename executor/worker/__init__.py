"""The worker, which every engine runs: a batch of calls in, outcomes out."""
