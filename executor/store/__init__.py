"""Where everything that a run is lies: keys and bytes under one URL."""
