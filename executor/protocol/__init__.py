"""What the parts say to each other, as data: events, calls and outcomes, failures, limits. No I/O, no state."""
