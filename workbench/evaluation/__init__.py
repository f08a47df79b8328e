"""Scoring: rates, slices, intervals, comparisons and the report."""

from workbench.evaluation.evaluation import Evaluation, score_predictions
from workbench.evaluation.rates import Thresholds

__all__ = ["Evaluation", "Thresholds", "score_predictions"]
