"""All nodes at a glance: power against cap, requests, misses."""

from __future__ import annotations

from monitoring.panels import Board, Chart, Query, Row

_ANSWERS = 'sentryfuse_stage_duration_seconds_count{@,stage="inference"}'

_NOW = Row(
    "Now",
    (
        Chart(
            "Ready",
            "Services that take requests, of those that are scraped.",
            "short",
            (Query("sum(sentryfuse_ready{@})"),),
            "number",
        ),
        Chart(
            "Power",
            "Power of all nodes. Whether it was measured or modelled stands below.",
            "watt",
            (Query("sum(sentryfuse_node_power_watts{@})"),),
            "number",
        ),
        Chart(
            "Room under the caps",
            "What the nodes that have a power cap leave of it.",
            "watt",
            (
                Query(
                    "sum(sentryfuse_power_cap_watts{@}"
                    " - on (job, instance) sum by (job, instance) (sentryfuse_node_power_watts{@}))"
                ),
            ),
            "number",
            least=None,
        ),
        Chart(
            "Energy",
            "Energy of all nodes over the time shown.",
            "joule",
            (Query("sum(increase(sentryfuse_node_energy_joules_total{@}[$__range]))"),),
            "number",
        ),
        Chart(
            "Answers",
            "Inference requests answered in each second, over HTTP, gRPC and streams.",
            "reqps",
            (Query(f"sum(rate({_ANSWERS}[$__rate_interval]))"),),
            "number",
        ),
        Chart(
            "Budgets missed",
            "Part of the budgets asked that was missed or refused. A request may have several.",
            "percentunit",
            (
                Query(
                    'sum(rate(sentryfuse_budget_total{@,outcome!="met"}[$__rate_interval]))'
                    " / sum(rate(sentryfuse_budget_total{@}[$__rate_interval]))"
                ),
            ),
            "number",
        ),
    ),
)

_POWER = Row(
    "Power",
    (
        Chart(
            "Power against cap",
            "Power of each node, and the cap that it must keep under. A node without a cap has "
            "no second line.",
            "watt",
            (
                Query("sum by (instance) (sentryfuse_node_power_watts{@})", "{{instance}}"),
                Query("max by (instance) (sentryfuse_power_cap_watts{@})", "{{instance}} cap"),
            ),
        ),
        Chart(
            "What the power goes into",
            "Idling, requests (what receipts charge), and overhead: HTTP, background, neighbours.",
            "watt",
            (
                Query(
                    "sum by (use) (rate(sentryfuse_energy_joules_total{@}[$__rate_interval]))",
                    "{{use}}",
                ),
            ),
            "stacked",
        ),
        Chart(
            "Energy that the cap lets through now",
            "Joules that may be spent at once. Negative is a debt: the next batches wait for it.",
            "joule",
            (Query("sum by (instance) (sentryfuse_power_tokens_joules{@})", "{{instance}}"),),
            least=None,
        ),
        Chart(
            "How power is known",
            "Nodes by meter, measured or modelled. Modelled means CPU seconds times watts.",
            "short",
            (
                Query(
                    "count by (source, quality) (sentryfuse_meter_info{@} == 1)",
                    "{{source}}, {{quality}}",
                ),
            ),
            "stacked",
        ),
        Chart(
            "Meter trouble",
            "Odd readings by what was odd, and how often another meter had to take over.",
            "short",
            (
                Query(
                    "sum by (fault) (increase(sentryfuse_meter_faults_total{@}[$__rate_interval]))",
                    "{{fault}}",
                ),
                Query(
                    "sum(increase(sentryfuse_meter_failovers_total{@}[$__rate_interval]))",
                    "failover",
                ),
            ),
        ),
        Chart(
            "Slowed down",
            "What is observed over what the host's profile says: contention, heat, frequency.",
            "short",
            (Query("max by (instance, of) (sentryfuse_slowdown_ratio{@})", "{{instance}} {{of}}"),),
        ),
    ),
)

_REQUESTS = Row(
    "Requests by node",
    (
        Chart(
            "Answers",
            "Inference requests answered in each second.",
            "reqps",
            (Query(f"sum by (instance) (rate({_ANSWERS}[$__rate_interval]))", "{{instance}}"),),
        ),
        Chart(
            "Budgets missed",
            "Part of each node's budgets that was missed or refused.",
            "percentunit",
            (
                Query(
                    "sum by (instance)"
                    ' (rate(sentryfuse_budget_total{@,outcome!="met"}[$__rate_interval]))'
                    " / sum by (instance) (rate(sentryfuse_budget_total{@}[$__rate_interval]))",
                    "{{instance}}",
                ),
            ),
            most=1.0,
        ),
        Chart(
            "Budgets missed, by kind",
            "Missed and refused budgets in each second: latency, energy, power, accuracy.",
            "cps",
            (
                Query(
                    "sum by (kind, outcome)"
                    ' (rate(sentryfuse_budget_total{@,outcome!="met"}[$__rate_interval]))',
                    "{{kind}} {{outcome}}",
                ),
            ),
            "stacked",
        ),
        Chart(
            "Slowest answers",
            "Ninety-nine of a hundred inference requests took no longer than this.",
            "s",
            (
                Query(
                    "histogram_quantile(0.99, sum by (instance, le) (rate("
                    "sentryfuse_request_duration_seconds_bucket"
                    '{@,route=~".*(/infer|Infer)"}[$__rate_interval])))',
                    "{{instance}}",
                    exemplars=True,
                ),
            ),
        ),
        Chart(
            "Turned away",
            "Requests refused or given up in each second.",
            "reqps",
            (
                Query(
                    "sum by (instance) (rate(sentryfuse_shed_total{@}[$__rate_interval]))",
                    "{{instance}}",
                ),
            ),
        ),
        Chart(
            "Joules per window",
            "Active energy of a window answered, reading the request included.",
            "joule",
            (
                Query(
                    "sum by (instance)"
                    " (rate(sentryfuse_variant_energy_joules_total{@}[$__rate_interval]))"
                    " / sum by (instance)"
                    " (rate(sentryfuse_variant_inferences_total{@}[$__rate_interval]))",
                    "{{instance}}",
                ),
            ),
        ),
    ),
)

_IN_A_SITE = "sentryfuse_node_power_watts{@} and on (job, instance) sentryfuse_site_cap_watts{@}"

_SITE = Row(
    "Site: one power cap for several nodes; empty without one",
    (
        Chart(
            "Site's power against its cap",
            "Power of all nodes that share the site's power, and the cap that they keep under "
            "together.",
            "watt",
            (
                Query(f"sum({_IN_A_SITE})", "all nodes"),
                Query("max(sentryfuse_site_cap_watts{@})", "cap"),
            ),
        ),
        Chart(
            "What nodes may use, and what they want",
            "A node's guaranteed share and what it was lent on top; what it would draw without any "
            "cap.",
            "watt",
            (
                Query(
                    "sum by (instance) (sentryfuse_site_share_watts{@}"
                    " + sentryfuse_site_lent_watts{@})",
                    "{{instance}} may",
                ),
                Query(
                    "sum by (instance) (sentryfuse_site_demand_watts{@})",
                    "{{instance}} wants",
                ),
            ),
        ),
        Chart(
            "Lent, of what can be lent",
            "Power lent above the guaranteed shares, by node, and the pool that it comes from. "
            "The pool is 0 if more nodes report than the cap has shares for.",
            "watt",
            (
                Query("sum by (instance) (sentryfuse_site_lent_watts{@})", "{{instance}}"),
                Query("min(sentryfuse_site_pool_watts{@})", "pool"),
            ),
        ),
        Chart(
            "In touch with the site",
            "0 while a node can't agree on the site's ledger: its loan runs out, and it keeps to "
            "its guaranteed share.",
            "short",
            (Query("min by (instance) (sentryfuse_site_in_touch{@})", "{{instance}}"),),
            most=1.0,
        ),
        Chart(
            "Rounds by outcome",
            "Attempts in each second to agree on the ledger: agreed; contended, others wrote "
            "first; unavailable, Redis gave no usable answer; newer, another release's ledger.",
            "cps",
            (
                Query(
                    "sum by (outcome) (rate(sentryfuse_site_rounds_total{@}[$__rate_interval]))",
                    "{{outcome}}",
                ),
            ),
            "stacked",
        ),
        Chart(
            "Nodes heard of",
            "Nodes of the site, as the one that heard of fewest and the one that heard of most "
            "see it.",
            "short",
            (
                Query("min(sentryfuse_site_nodes{@})", "fewest"),
                Query("max(sentryfuse_site_nodes{@})", "most"),
            ),
        ),
    ),
)

_PROCESSES = Row(
    "Processes",
    (
        Chart(
            "Processor",
            "Cores in use by the service.",
            "short",
            (
                Query(
                    "sum by (instance) (rate(process_cpu_seconds_total{@}[$__rate_interval]))",
                    "{{instance}}",
                ),
            ),
        ),
        Chart(
            "Memory",
            "Resident memory of the service.",
            "bytes",
            (Query("sum by (instance) (process_resident_memory_bytes{@})", "{{instance}}"),),
        ),
        Chart(
            "Redis left alone",
            "1 while a node's circuit breaker keeps it from asking Redis. Nothing without Redis.",
            "short",
            (Query("max by (instance) (sentryfuse_redis_breaker_open{@})", "{{instance}}"),),
            most=1.0,
        ),
    ),
)

FLEET = Board(
    uid="sentryfuse-fleet",
    title="SentryFuse: fleet",
    text="All nodes: power against cap, the site that they share, requests, missed budgets.",
    rows=(_NOW, _POWER, _SITE, _REQUESTS, _PROCESSES),
)
