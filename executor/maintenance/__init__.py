"""Maintenance of runs and stores: check a run, copy it, collect garbage."""
