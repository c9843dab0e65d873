"""Worker processes of this machine, from both ends."""
