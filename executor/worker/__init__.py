"""What every worker runs: a batch of calls in, outcomes out."""
