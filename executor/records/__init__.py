"""What a run keeps beside its journal: manifest, beat, inbox, checkpoints."""
