"""The version of this distribution, which is said here and nowhere else."""

from typing import Final

VERSION: Final = "0.1.0"
