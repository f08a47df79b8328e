"""A real Ray cluster of two nodes on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

WHY = "Ray is not installed: pip install -e '.[cluster]' -c constraints.txt"
PATIENCE = {"RAY_worker_register_timeout_seconds": "240", "RAY_worker_niceness": "0"}
"""For busy machines: Ray's workers would come last there, and be given up before they have started."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Two nodes of one core each; this process is connected to it, as after ``ray.init(address)``."""
    os.environ.update(PATIENCE)
    ray = pytest.importorskip("ray", reason=WHY)
    made = start()
    try:
        ray.init(address=made.address, log_to_driver=False, logging_level="WARNING")
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


def start(tries: int = 5) -> Any:
    """A cluster; starting one is tried again, since a node that does not answer within 30 s is given up."""
    from ray.cluster_utils import Cluster

    options = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_log_monitor": False}
    made = Cluster()
    try:
        made.add_node(**options, include_dashboard=False)
        made.add_node(**options)
        made.wait_for_nodes()
        return made
    except Exception:
        made.shutdown()
        if tries == 1:
            raise
        return start(tries - 1)
