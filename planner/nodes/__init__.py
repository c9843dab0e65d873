"""Nodes that are no plain calls: choices, maps, gates, merges."""
