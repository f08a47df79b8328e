"""Test suites: frozen utterances, operating points and requirements; their runs, coverage and comparisons."""

from workbench.suites.points import OperatingPoint
from workbench.suites.run import SuiteRun
from workbench.suites.store import Suite
from workbench.suites.suite import SuiteVersion

__all__ = ["OperatingPoint", "Suite", "SuiteRun", "SuiteVersion"]
