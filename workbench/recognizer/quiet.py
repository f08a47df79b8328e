"""NeMo's chatter kept off notebooks and terminals."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_nemo() -> Iterator[None]:
    """Import NeMo and keep its INFO and WARNING lines off the notebook; errors pass."""
    # NeMo's telemetry library is off; it says so in two warnings at import.
    logging.getLogger("nv_one_logger").setLevel(logging.ERROR)
    from nemo.utils import logging as nemo_logging

    with nemo_logging.temp_verbosity(nemo_logging.ERROR):
        yield
