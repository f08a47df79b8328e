"""A real Ray cluster of two nodes on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import local_cluster
import pytest
import ray


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Two nodes of one core each; this process is connected to it, as after ``ray.init(address)``."""
    os.environ.update(local_cluster.PATIENCE)
    made = local_cluster.start(2)
    try:
        ray.init(address=made.address, log_to_driver=False, logging_level="WARNING")
        yield made
    finally:
        ray.shutdown()
        made.shutdown()
