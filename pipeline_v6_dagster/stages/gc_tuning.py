"""How often Python looks for garbage while a stage works through a log.

What a stage makes per row is freed by its reference count; what it keeps is looked through again and again to no
avail, for a seventh of the time with Python's own threshold.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECTS_BETWEEN = 100_000  # a few MB, should they be garbage after all


@contextmanager
def relaxed_gc() -> Iterator[None]:
    """Collect garbage after a hundred thousand new objects, not after some hundreds; as before afterwards."""
    before = gc.get_threshold()
    gc.set_threshold(max(_OBJECTS_BETWEEN, before[0]) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
