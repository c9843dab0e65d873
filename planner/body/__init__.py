"""What a running body may know of its run, and ask of it."""
