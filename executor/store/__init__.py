"""The store of all data of runs: keys and bytes under one URL."""
