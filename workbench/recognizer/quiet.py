"""NeMo's chatter kept off notebooks and terminals."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

_LOGGER = "nemo_logger"
_OF_NO_CONCERN = "No adapter compatible with the current module"
"""Said by a layer with an adapter behind it, because it has none at its attention."""


def _of_no_concern(record: logging.LogRecord) -> bool:
    return _OF_NO_CONCERN not in record.getMessage()


@contextlib.contextmanager
def quiet_nemo() -> Iterator[None]:
    """Import NeMo and keep its INFO and WARNING lines off the notebook; errors pass. One line of its layers
    stays off afterwards too."""
    # NeMo's telemetry library is off; it says so in two warnings at import.
    logging.getLogger("nv_one_logger").setLevel(logging.ERROR)
    from nemo.utils import logging as nemo_logging

    logging.getLogger(_LOGGER).addFilter(_of_no_concern)  # the same one again adds nothing
    with nemo_logging.temp_verbosity(nemo_logging.ERROR):
        yield
