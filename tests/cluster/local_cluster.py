"""Ray clusters of several nodes on this machine, and their workers."""

from __future__ import annotations

import os
from typing import Any

import psutil

PATIENCE = {"RAY_worker_register_timeout_seconds": "240", "RAY_worker_niceness": "0"}
"""For busy machines: Ray's workers would come last there, and be given up before they have started."""


def start(nodes: int, tries: int = 5) -> Any:
    """A cluster of nodes of one core each, to which this process is not connected.

    Starting is tried again, since a node that does not answer within 30 s is given up.
    """
    from ray.cluster_utils import Cluster

    os.environ.update(PATIENCE)
    options = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_log_monitor": False}
    made = Cluster()
    try:
        made.add_node(**options, include_dashboard=False)
        for _ in range(nodes - 1):
            made.add_node(**options)
        made.wait_for_nodes()
        return made
    except Exception:
        made.shutdown()
        if tries == 1:
            raise
        return start(nodes, tries - 1)


def workers(function: str) -> list[psutil.Process]:
    """The workers of this process's clusters that run a function."""
    return [process for process in psutil.Process().children(recursive=True) if runs(process, function)]


def runs(process: psutil.Process, function: str) -> bool:
    """Whether a process is a Ray worker in the midst of a function."""
    try:
        return process.cmdline()[:1] == [f"ray::{function}"]
    except psutil.NoSuchProcess:
        return False


def kill(process: psutil.Process, function: str) -> bool:
    """Kill a worker if it still runs the function; whether that was so."""
    if not runs(process, function):
        return False
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True
