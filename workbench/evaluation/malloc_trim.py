"""Giving freed memory back to the system between the large steps of an evaluation."""

from __future__ import annotations

import pyarrow as pa

from workbench.machine import trim_memory

MANY_ROWS = 200_000
"""Below this what the allocators keep is not worth the call."""


def give_back(rows: int) -> None:
    """Hand back what glibc and Arrow keep of freed arrays, if there are many rows; elsewhere nothing.

    glibc keeps freed blocks of up to 32 MB (``M_MMAP_THRESHOLD`` grows by itself, mallopt(3)) for the next
    request; after a step that made many of them that is more than the evaluation itself.
    """
    if rows < MANY_ROWS:
        return
    pa.default_memory_pool().release_unused()
    trim_memory()
