"""Calls become nodes: promises, bindings, traces."""
