"""Memoised outcomes: entries and leases in the store, and lookups beside the scheduler."""
