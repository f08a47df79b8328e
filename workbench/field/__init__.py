"""What happens after release: production logs without references, watched by locale and week."""

from workbench.field.baseline import Baseline
from workbench.field.dashboard import FieldReport, watch_log
from workbench.field.log import FieldLog, read_log
from workbench.field.proposals import Proposal, propose

__all__ = ["Baseline", "FieldLog", "FieldReport", "Proposal", "propose", "read_log", "watch_log"]
