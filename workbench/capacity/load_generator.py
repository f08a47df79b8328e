"""Background load: real processes that keep a core and its caches busy, started on request only.

Each one is a Python process of its own that sorts and adds an array of a few MiB, so it competes for
cores, caches and memory bandwidth as another service would. It ends by itself when its parent is gone.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from workbench.errors import WorkbenchError

_BURN = """
import os, sys
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
import numpy as np
parent, values = os.getppid(), np.random.default_rng(0).random(1 << 19)
sys.stdout.write("burning\\n"); sys.stdout.flush()
while os.getppid() == parent:
    np.sort(values); values = values[::-1] * 1.0000001
"""


@contextlib.contextmanager
def generated_load(count: int) -> Iterator[list[int]]:
    """``count`` burning processes while the block runs; gives their process ids.

    Raises:
        WorkbenchError: a negative number, or more than four for every core of the machine.
    """
    most = 4 * (os.cpu_count() or 1)
    if not 0 <= count <= most:
        raise WorkbenchError(f"background_load={count}", hint=f"Give 0 to {most} processes of other load.")
    running: list[subprocess.Popen[str]] = []
    try:
        for _ in range(count):
            running.append(subprocess.Popen([sys.executable, "-c", _BURN], stdout=subprocess.PIPE, text=True))
        for process in running:
            # The first line says that it has begun: a measurement beside a starting process is none.
            if process.stdout is None or not process.stdout.readline():
                raise WorkbenchError("other load could not be started", where=f"process {process.pid}")
        yield [process.pid for process in running]
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
