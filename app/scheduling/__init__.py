"""The planner: pure decisions on plain values, with nothing but the standard library."""

from app.scheduling.arrivals import ArrivalRate
from app.scheduling.estimator import Slowdown
from app.scheduling.plans import Infeasible, Plan
from app.scheduling.policy import plan
from app.scheduling.types import Budget, BudgetKind, Kind, NodeState, VariantCost

__all__ = [
    "ArrivalRate",
    "Budget",
    "BudgetKind",
    "Infeasible",
    "Kind",
    "NodeState",
    "Plan",
    "Slowdown",
    "VariantCost",
    "plan",
]
