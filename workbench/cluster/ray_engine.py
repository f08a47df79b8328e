"""Run the shards of a job on Ray: bounded in flight, started again where a worker died, each given once.

Ray schedules, moves values between machines and notices dead processes and nodes; this is only how a job is
handed to it, and what its faults are called here. Every node needs this package in the same version, and the
audio and checkpoints under the same paths (a shared file system). Ray's usage reports are switched off.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from workbench.errors import WorkbenchError

log = logging.getLogger("workbench.cluster")
ENGINES = ("local", "ray")
ATTEMPTS = 4
"""How often a shard is begun before its workers' deaths are its own fault."""
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Needs:
    """What one shard needs while it runs; Ray packs workers onto nodes by it.

    Attributes:
        cpus: cores. ``memory_bytes``: main memory. ``gpus``: may be a fraction; None: one where the cluster
            has any, else none.
    """

    cpus: float = 1.0
    memory_bytes: int = 0
    gpus: float | None = 0.0


def check_engine(engine: str, address: str | None = None) -> None:
    """Refuse an unknown engine, an address that nobody uses, and Ray where it is not installed.

    Raises:
        WorkbenchError: one of these.
    """
    if engine not in ENGINES:
        raise WorkbenchError(f"unknown engine {engine!r}", hint=f"Use {' or '.join(ENGINES)}.")
    if engine == "local" and address is not None:
        raise WorkbenchError("an address needs engine='ray'", where=str(address), hint="Give both or none.")
    if engine == "ray":
        _ray()


def over_ray(
    function: Callable[..., Any],
    shards: Iterable[tuple[Any, ...]],
    *,
    address: str | None = None,
    needs: Needs | None = None,
    attempts: int = ATTEMPTS,
    cancel: Callable[[], bool] | None = None,
) -> Iterator[tuple[int, Any]]:
    """Results of ``function(*shard)`` as they come, with the shard's number: each exactly once.

    Args:
        function: of an importable module; what it takes and gives must pickle.
        shards: consumed as workers become free, never all at once.
        address: of a cluster: ``host:6379``, ``ray://host:10001`` or ``auto``; None: the one that this
            process is connected to, that ``RAY_ADDRESS`` names, or else one started here for this call.
        needs: of one shard.
        attempts: begun so often at most, where worker processes or nodes die.
        cancel: asked twice a second; True stops the workers and ends the iteration.

    Raises:
        WorkbenchError: Ray is absent or not reached, or a shard ended its workers ``attempts`` times.
        Exception: what the function itself raised; such faults are not tried again.
    """
    ray = _ray()
    with _connected(ray, address):
        remote = ray.remote(**_options(ray, needs or Needs(), attempts))(function)
        waiting: dict[Any, int] = {}
        queue = enumerate(shards)
        try:
            while True:
                # Asked anew each time: a cluster may grow or lose nodes while a job runs.
                most = max(4, 2 * int(ray.cluster_resources().get("CPU", 1)))
                while len(waiting) < most and (one := next(queue, None)) is not None:
                    waiting[remote.remote(*one[1])] = one[0]
                if not waiting or (cancel is not None and cancel()):
                    return
                ready, _ = ray.wait(list(waiting), num_returns=1, timeout=_POLL_S)
                for reference in ready:
                    yield waiting[reference], _result(ray, reference, waiting.pop(reference), attempts)
        finally:
            for reference in waiting:
                ray.cancel(reference, force=True)


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise WorkbenchError(
            "Ray is not installed",
            where="engine='ray'",
            hint="Install it with: pip install -e '.[cluster]' -c constraints.txt",
        ) from error
    return ray


@contextmanager
def connected(engine: str, address: str | None = None) -> Iterator[None]:
    """Hold one connection over several calls of :func:`over_ray`; with ``engine='local'`` nothing happens.

    A process that is connected already stays so.

    Raises:
        WorkbenchError: as :func:`check_engine`, or the cluster is not reached.
    """
    check_engine(engine, address)
    if engine == "local":
        yield
        return
    with _connected(_ray(), address):
        yield


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """A connection of its own for the time of a call, unless this process holds one already."""
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"logging_level": logging.WARNING, "log_to_driver": False}
    if address is None and "RAY_ADDRESS" not in os.environ:
        options |= {"address": "local", "include_dashboard": False}
    elif address is not None:
        options["address"] = address
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = address or os.environ.get("RAY_ADDRESS", "a cluster on this machine")
        raise WorkbenchError(
            f"Ray cannot be reached: {error}", where=where, hint="Start it with: ray start --head"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _options(ray: Any, needs: Needs, attempts: int) -> dict[str, Any]:
    gpus = needs.gpus
    if gpus is None:
        gpus = 1.0 if ray.cluster_resources().get("GPU", 0) else 0.0
    wanted = {"CPU": needs.cpus, "GPU": gpus, "memory": float(needs.memory_bytes)}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(name, 0) >= value for name, value in wanted.items()) for node in nodes):
        # No fault: a cluster that grows on demand may have no such node yet.
        asked = ", ".join(f"{name} {value:g}" for name, value in wanted.items() if value)
        log.warning("no node of the cluster has %s yet; shards wait for one", asked)
    return {
        "num_cpus": needs.cpus,
        "num_gpus": gpus,
        "memory": needs.memory_bytes or None,
        "max_retries": attempts - 1,
        "retry_exceptions": False,
    }


def _result(ray: Any, reference: Any, number: int, attempts: int) -> Any:
    faults = ray.exceptions
    try:
        return ray.get(reference)
    except faults.RayTaskError as error:
        raise (error.cause if isinstance(error.cause, Exception) else error) from None
    except (
        faults.WorkerCrashedError,
        faults.NodeDiedError,
        faults.OutOfMemoryError,
        faults.ObjectLostError,
    ) as error:
        raise WorkbenchError(
            f"its worker died {attempts} times ({type(error).__name__})",
            where=f"shard {number}",
            hint="Repeat the call with engine='local' to see which clip; what is done is kept.",
        ) from error
