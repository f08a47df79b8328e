"""What happens after release: production logs without references, watched by locale and week."""

from workbench.field.baseline import Baseline
from workbench.field.conditions import ConditionSweep, sweep_conditions
from workbench.field.dashboard import FieldReport, watch_log
from workbench.field.log import FieldLog, read_log
from workbench.field.proposals import Proposal, propose

__all__ = [
    "Baseline", "ConditionSweep", "FieldLog", "FieldReport", "Proposal", "propose", "read_log",
    "sweep_conditions", "watch_log",
]  # fmt: skip
