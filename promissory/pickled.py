"""What stored pickles name. Nothing here is to be renamed: old pickles ask for it."""

from promissory._lazy import lazily
from promissory._names import PICKLED

__getattr__, __dir__ = lazily(globals(), PICKLED)
