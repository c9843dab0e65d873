"""The records of a run beside its journal: manifest, beat, inbox, checkpoints."""
