"""What promissory costs, beside its peers, in one run: `python -m benchmarks`."""
