"""Pruning methods to compare with, each as its authors define it, and ours, on one protocol.

docs/baselines.md tells what each scores, sees and does afterwards, and where we differ.
"""

from sentryfuse.learn.baselines.calibration import Calibration
from sentryfuse.learn.baselines.correction import least_squares
from sentryfuse.learn.baselines.method import CorrectionKind, Method, Pruning, Ranking
from sentryfuse.learn.baselines.reference import Reference
from sentryfuse.learn.baselines.registry import BASELINES, OURS, build_method
from sentryfuse.learn.baselines.scorer import Scorer

__all__ = [
    "BASELINES",
    "OURS",
    "Calibration",
    "CorrectionKind",
    "Method",
    "Pruning",
    "Ranking",
    "Reference",
    "Scorer",
    "build_method",
    "least_squares",
]
