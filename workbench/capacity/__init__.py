"""How many callers one machine holds within a latency budget, and which look-ahead to serve them with."""

from workbench.capacity.choice import Choice, choose
from workbench.capacity.measurement import Budget, Measurement
from workbench.capacity.result import Capacity
from workbench.capacity.sweep import measure_capacity

__all__ = ["Budget", "Capacity", "Choice", "Measurement", "choose", "measure_capacity"]
