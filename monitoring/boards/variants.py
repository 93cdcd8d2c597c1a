"""Which variants answer, what they cost, and whether that was foreseen."""

from __future__ import annotations

from monitoring.panels import CHOICES, Board, Chart, Choice, Query, Row

_WHERE = '@,model=~"$model",presence=~"$presence"'
_VARIANT = "job, instance, model, version, presence, ratio"
_WINDOWS = f"sentryfuse_variant_inferences_total{{{_WHERE}}}[$__rate_interval]"
_RUN_SECONDS = f"sentryfuse_variant_inference_seconds_sum{{{_WHERE}}}[$__rate_interval]"
_JOULES = f"sentryfuse_variant_energy_joules_total{{{_WHERE}}}[$__rate_interval]"
_ACCURACY = f"sentryfuse_variant_expected_accuracy_ratio{{{_WHERE}}}"


def _per_window(what: str, by: str) -> str:
    return f"sum by ({by}) (rate({what})) / sum by ({by}) (rate({_WINDOWS}))"


def _quantile(share: float) -> str:
    return (
        f"histogram_quantile({share}, sum by (ratio, le) (rate("
        f"sentryfuse_variant_inference_seconds_bucket{{{_WHERE}}}[$__rate_interval])))"
    )


def _best(of: str) -> str:
    """The best expected accuracy there is for a presence, beside each of its variants."""
    best = f"max by (job, instance, model, version, presence) ({of})"
    return f"0 * {of} + on (job, instance, model, version, presence) group_left {best}"


_MIX = Row(
    "What answers",
    (
        Chart(
            "Share of each ratio",
            "Windows answered, by how much of the prunable compute the variant leaves out.",
            "cps",
            (Query(f"sum by (ratio) (rate({_WINDOWS}))", "{{ratio}}"),),
            "share",
        ),
        Chart(
            "Windows by sensors present",
            "Windows answered in each second, by the sensors that were in the request.",
            "cps",
            (
                Query(
                    f"sum by (model, version, presence) (rate({_WINDOWS}))"
                    " * on (model, version, presence) group_left (modalities)"
                    " max by (model, version, presence, modalities)"
                    f" (sentryfuse_presence_info{{{_WHERE}}})",
                    "{{modalities}}",
                ),
            ),
            "stacked",
        ),
        Chart(
            "Operations carried out",
            "Floating-point operations in each second, by ratio.",
            "flops",
            (
                Query(
                    f"sum by (ratio) (rate(sentryfuse_flops_total{{{_WHERE}}}[$__rate_interval]))",
                    "{{ratio}}",
                ),
            ),
            "stacked",
        ),
    ),
)

_COST = Row(
    "What a window costs",
    (
        Chart(
            "Operations per window",
            "Floating-point operations of one window, mean over what was answered.",
            "sishort",
            (
                Query(
                    _per_window(f"sentryfuse_flops_total{{{_WHERE}}}[$__rate_interval]", "ratio"),
                    "{{ratio}}",
                ),
            ),
        ),
        Chart(
            "Inference time, median",
            "Half of the inferences of a ratio took no longer. One inference may hold several "
            "windows.",
            "s",
            (Query(_quantile(0.5), "{{ratio}}"),),
        ),
        Chart(
            "Inference time, slowest",
            "Ninety-nine of a hundred inferences of a ratio took no longer.",
            "s",
            (Query(_quantile(0.99), "{{ratio}}"),),
        ),
        Chart(
            "Joules per window",
            "Active energy of a window, reading the request included.",
            "joule",
            (Query(_per_window(_JOULES, "ratio"), "{{ratio}}"),),
        ),
        Chart(
            "Joules per window, by sensors",
            "The same by presence: fewer sensors, less work.",
            "joule",
            (Query(_per_window(_JOULES, "model, presence"), "{{model}} {{presence}}"),),
        ),
        Chart(
            "Memory of the variants",
            "Size of all graphs in memory, by ratio.",
            "bytes",
            (Query(f"sum by (ratio) (sentryfuse_variant_memory_bytes{{{_WHERE}}})", "{{ratio}}"),),
            "stacked",
        ),
        Chart(
            "Variants in memory",
            "How many variants of each ratio can answer at once, without being built.",
            "short",
            (Query(f"count by (ratio) (sentryfuse_variant_flops{{{_WHERE}}})", "{{ratio}}"),),
            "stacked",
        ),
        Chart(
            "Operations by sensors and ratio",
            "Floating-point operations of a window of each variant in memory.",
            "sishort",
            (
                Query(
                    f"max by (presence, ratio) (sentryfuse_variant_flops{{{_WHERE}}})",
                    "{{presence}} at {{ratio}}",
                ),
            ),
        ),
        Chart(
            "Weights by sensors and ratio",
            "Parameters of each variant in memory.",
            "sishort",
            (
                Query(
                    f"max by (presence, ratio) (sentryfuse_variant_parameters{{{_WHERE}}})",
                    "{{presence}} at {{ratio}}",
                ),
            ),
        ),
    ),
)

_FORESEEN = Row(
    "Predicted against actual",
    (
        Chart(
            "Inference time",
            "Time that the scheduler expected inferences to take, and that they took, as a part "
            "of one second.",
            "percentunit",
            (
                Query(f"sum(rate({_RUN_SECONDS}))", "actual"),
                Query(
                    "sum(rate(sentryfuse_variant_predicted_seconds_total"
                    f"{{{_WHERE}}}[$__rate_interval]))",
                    "predicted",
                ),
            ),
        ),
        Chart(
            "Inference power",
            "Active power that the scheduler expected inferences to draw, and what they were "
            "charged.",
            "watt",
            (
                Query(f"sum(rate({_JOULES}))", "actual"),
                Query(
                    "sum(rate(sentryfuse_variant_predicted_joules_total"
                    f"{{{_WHERE}}}[$__rate_interval]))",
                    "predicted",
                ),
            ),
        ),
        Chart(
            "Actual over predicted",
            "1 is a perfect forecast; above it, inferences take more than was expected.",
            "short",
            (
                Query(
                    f"sum by (ratio) (rate({_RUN_SECONDS})) / sum by (ratio)"
                    " (rate(sentryfuse_variant_predicted_seconds_total"
                    f"{{{_WHERE}}}[$__rate_interval]))",
                    "time at {{ratio}}",
                ),
                Query(
                    f"sum by (ratio) (rate({_JOULES})) / sum by (ratio)"
                    " (rate(sentryfuse_variant_predicted_joules_total"
                    f"{{{_WHERE}}}[$__rate_interval]))",
                    "energy at {{ratio}}",
                ),
            ),
        ),
    ),
)

_ACCURACIES = Row(
    "Expected accuracy",
    (
        Chart(
            "Of what is answered",
            "Expected accuracy of the variants that answer, mean over windows, by model; from "
            "validation data, not from the answers.",
            "percentunit",
            (
                Query(
                    f"sum by (model) (rate({_WINDOWS}) * on ({_VARIANT}) {_ACCURACY})"
                    f" / sum by (model) (rate({_WINDOWS}))",
                    "{{model}}",
                ),
            ),
            most=1.0,
        ),
        Chart(
            "Given up for budgets",
            "Best expected accuracy there is for the sensors of each window, minus that of the "
            "variant that answered.",
            "percentunit",
            (
                Query(
                    f"(sum by (model) (rate({_WINDOWS}) * on ({_VARIANT}) ({_best(_ACCURACY)}))"
                    f" - sum by (model) (rate({_WINDOWS}) * on ({_VARIANT}) {_ACCURACY}))"
                    f" / sum by (model) (rate({_WINDOWS}))",
                    "{{model}}",
                ),
            ),
        ),
        Chart(
            "By sensors and ratio",
            "Expected accuracy of each variant in memory.",
            "percentunit",
            (Query(f"max by (presence, ratio) ({_ACCURACY})", "{{presence}} at {{ratio}}"),),
            most=1.0,
        ),
    ),
)

VARIANTS = Board(
    uid="sentryfuse-variants",
    title="SentryFuse: variants",
    text="Which variants answer, what they cost, and whether that was foreseen.",
    rows=(_MIX, _COST, _FORESEEN, _ACCURACIES),
    choices=(
        *CHOICES,
        Choice("model", "Model", "sentryfuse_model_info{@}"),
        Choice("presence", "Sensors", 'sentryfuse_presence_info{@,model=~"$model"}'),
    ),
)
