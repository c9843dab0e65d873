"""Names in stored pickles. Nothing here is to be renamed, because old pickles ask for it."""

from promissory._lazy import lazily
from promissory._names import PICKLED

__getattr__, __dir__ = lazily(globals(), PICKLED)
