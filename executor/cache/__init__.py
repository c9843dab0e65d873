"""Memoised outcomes: what makes calls equal, entries and leases, looking up beside the scheduler."""
