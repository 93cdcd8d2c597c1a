"""Recording rules: what alerts and autoscaling ask, worked out once.

Names say level, metric and operation, as Prometheus' own guide asks.
"""

from __future__ import annotations

from dataclasses import dataclass

WINDOW = "5m"


@dataclass(frozen=True, slots=True)
class Recording:
    """A new series made of others."""

    name: str
    expr: str


def _by_node(metric: str, *labels: str, window: str = WINDOW) -> str:
    by = ", ".join(("job", "instance", *labels))
    return f"sum by ({by}) (rate({metric}[{window}]))"


_ANSWERS = 'sentryfuse_stage_duration_seconds_count{stage="inference"}'
_VARIANT = "job, instance, model, version, presence, ratio"
_PRESENCE = "job, instance, model, version, presence"
_WINDOWS = f"rate(sentryfuse_variant_inferences_total[{WINDOW}])"
_ACCURACY = "sentryfuse_variant_expected_accuracy_ratio"
_BEST = f"0 * {_ACCURACY} + on ({_PRESENCE}) group_left max by ({_PRESENCE}) ({_ACCURACY})"


def _mean_over_windows(of: str) -> str:
    return (
        f"sum by (job, instance, model) ({_WINDOWS} * on ({_VARIANT}) ({of}))"
        f" / sum by (job, instance, model) ({_WINDOWS})"
    )


RECORDINGS = (
    Recording("instance:sentryfuse_answers:rate5m", _by_node(_ANSWERS)),
    Recording("instance:sentryfuse_shed:rate5m", _by_node("sentryfuse_shed_total")),
    Recording(
        "instance_kind:sentryfuse_budget_missed:ratio_rate5m",
        _by_node('sentryfuse_budget_total{outcome!="met"}', "kind")
        + " / "
        + _by_node("sentryfuse_budget_total", "kind"),
    ),
    Recording(
        "instance:sentryfuse_request_duration_seconds:p99_5m",
        "histogram_quantile(0.99, "
        + _by_node('sentryfuse_request_duration_seconds_bucket{route=~".*(/infer|Infer)"}', "le")
        + ")",
    ),
    Recording(
        "instance:sentryfuse_queue_seconds:p95_1m",
        "histogram_quantile(0.95, "
        + _by_node('sentryfuse_stage_duration_seconds_bucket{stage="queue"}', "le", window="1m")
        + ")",
    ),
    Recording(
        "instance:sentryfuse_node_power_watts:mean1m",
        _by_node("sentryfuse_node_energy_joules_total", window="1m"),
    ),
    Recording(
        "instance:sentryfuse_window_energy_joules:mean5m",
        _by_node("sentryfuse_variant_energy_joules_total")
        + " / "
        + _by_node("sentryfuse_variant_inferences_total"),
    ),
    Recording("instance_model:sentryfuse_expected_accuracy:mean5m", _mean_over_windows(_ACCURACY)),
    Recording("instance_model:sentryfuse_best_accuracy:mean5m", _mean_over_windows(_BEST)),
)
