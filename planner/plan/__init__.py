"""The plan: data, its bytes, its invariants, its text."""
