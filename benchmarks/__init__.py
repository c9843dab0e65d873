"""The costs of promissory beside those of its peers, in one run: `python -m benchmarks`."""
