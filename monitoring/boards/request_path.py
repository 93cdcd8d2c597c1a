"""The way of a request: stages, queue, batches, cache, refusals."""

from __future__ import annotations

from monitoring.panels import Board, Chart, Query, Row

_INFER = '@,route=~".*(/infer|Infer)"'


def _took(share: float) -> str:
    return (
        f"histogram_quantile({share}, sum by (le) (rate("
        f"sentryfuse_request_duration_seconds_bucket{{{_INFER}}}[$__rate_interval])))"
    )


_TIME = Row(
    "Time",
    (
        Chart(
            "Request duration",
            "From a request's headers to the end of its answer. Dots are traced requests.",
            "s",
            (
                Query(_took(0.5), "median"),
                Query(_took(0.9), "90 %"),
                Query(_took(0.99), "99 %", exemplars=True),
            ),
        ),
        Chart(
            "Where the time goes",
            "Mean time of an answered request in each stage; together, from its last byte to its "
            "answer.",
            "s",
            (
                Query(
                    "sum by (stage)"
                    " (rate(sentryfuse_stage_duration_seconds_sum{@}[$__rate_interval]))"
                    " / on () group_left sum("
                    'rate(sentryfuse_stage_duration_seconds_count{@,stage="inference"}'
                    "[$__rate_interval]))",
                    "{{stage}}",
                ),
            ),
            "stacked",
        ),
        Chart(
            "Slowest of each stage",
            "Ninety-nine of a hundred requests spent no longer in a stage.",
            "s",
            (
                Query(
                    "histogram_quantile(0.99, sum by (stage, le)"
                    " (rate(sentryfuse_stage_duration_seconds_bucket{@}[$__rate_interval])))",
                    "{{stage}}",
                ),
            ),
        ),
    ),
)

_WAITING = Row(
    "Queue and batches",
    (
        Chart(
            "Requests waiting",
            "Requests that wait for a core, by node.",
            "short",
            (Query("sum by (instance) (sentryfuse_queue_depth{@})", "{{instance}}"),),
        ),
        Chart(
            "Windows in a batch",
            "Windows in one inference: mean, and what nineteen of twenty do not exceed.",
            "short",
            (
                Query(
                    "sum(rate(sentryfuse_batch_size_sum{@}[$__rate_interval]))"
                    " / sum(rate(sentryfuse_batch_size_count{@}[$__rate_interval]))",
                    "mean",
                ),
                Query(
                    "histogram_quantile(0.95, sum by (le)"
                    " (rate(sentryfuse_batch_size_bucket{@}[$__rate_interval])))",
                    "95 %",
                ),
            ),
        ),
        Chart(
            "Inferences",
            "Batches run in each second, and windows in them.",
            "cps",
            (
                Query("sum(rate(sentryfuse_batch_size_count{@}[$__rate_interval]))", "batches"),
                Query("sum(rate(sentryfuse_batch_size_sum{@}[$__rate_interval]))", "windows"),
            ),
        ),
    ),
)

_CACHE = Row(
    "Masks and Redis",
    (
        Chart(
            "Look-ups of masks",
            "By tier and how they ended; made when a variant is built, so seldom.",
            "cps",
            (
                Query(
                    "sum by (tier, outcome)"
                    " (rate(sentryfuse_mask_cache_total{@}[$__rate_interval]))",
                    "{{tier}} {{outcome}}",
                ),
            ),
        ),
        Chart(
            "Masks found",
            "Part of the look-ups of each tier since the start that found the mask.",
            "percentunit",
            (
                Query(
                    'sum by (tier) (sentryfuse_mask_cache_total{@,outcome="hit"})'
                    " / sum by (tier) (sentryfuse_mask_cache_total{@})",
                    "{{tier}}",
                ),
            ),
            most=1.0,
        ),
        Chart(
            "Redis trouble",
            "Commands without a usable answer, by reason. None of them fails a request.",
            "cps",
            (
                Query(
                    "sum by (reason) (rate(sentryfuse_redis_failures_total{@}[$__rate_interval]))",
                    "{{reason}}",
                ),
            ),
        ),
    ),
)

_REFUSALS = Row(
    "Answers and refusals",
    (
        Chart(
            "Answers by status",
            "All requests in each second, by status: HTTP's number or gRPC's name.",
            "reqps",
            (
                Query(
                    "sum by (code)"
                    " (rate(sentryfuse_request_duration_seconds_count{@}[$__rate_interval]))",
                    "{{code}}",
                ),
            ),
            "stacked",
        ),
        Chart(
            "Shed",
            "Inference requests refused or given up in each second, by reason.",
            "reqps",
            (
                Query(
                    "sum by (reason) (rate(sentryfuse_shed_total{@}[$__rate_interval]))",
                    "{{reason}}",
                ),
            ),
            "stacked",
        ),
        Chart(
            "Budgets",
            "Budgets asked in each second, by kind and outcome.",
            "cps",
            (
                Query(
                    "sum by (kind, outcome) (rate(sentryfuse_budget_total{@}[$__rate_interval]))",
                    "{{kind}} {{outcome}}",
                ),
            ),
            "stacked",
        ),
        Chart(
            "Requests by route",
            "All requests in each second, by route.",
            "reqps",
            (
                Query(
                    "sum by (route)"
                    " (rate(sentryfuse_request_duration_seconds_count{@}[$__rate_interval]))",
                    "{{route}}",
                ),
            ),
            "stacked",
        ),
        Chart(
            "Streams",
            "Streams that are open, by node.",
            "short",
            (Query("sum by (instance) (sentryfuse_streams_open{@})", "{{instance}}"),),
        ),
        Chart(
            "Open files",
            "File descriptors in use, connections among them, by node.",
            "short",
            (Query("sum by (instance) (process_open_fds{@})", "{{instance}}"),),
        ),
    ),
)

REQUEST_PATH = Board(
    uid="sentryfuse-request-path",
    title="SentryFuse: request path",
    text="The way of a request: stages, queue, batches, cache, refusals.",
    rows=(_TIME, _WAITING, _CACHE, _REFUSALS),
)
