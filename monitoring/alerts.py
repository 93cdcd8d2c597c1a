"""Alerts: what somebody should know of, with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RUNBOOK = "https://github.com/sentryfuse/sentryfuse/blob/main/docs/runbook.md"
"""Where the headings are that alerts link to."""

Severity = Literal["critical", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition that somebody should know of."""

    name: str
    expr: str
    lasts: str
    """How long it has to hold, as Prometheus writes durations."""
    severity: Severity
    summary: str
    description: str

    @property
    def runbook_url(self) -> str:
        """The heading of the runbook that is about it."""
        return f"{RUNBOOK}#{self.name.lower()}"


_MISSED = "instance_kind:sentryfuse_budget_missed:ratio_rate5m"
_POWER = "instance:sentryfuse_node_power_watts:mean1m"
_SHED = "instance:sentryfuse_shed:rate5m"
_ANSWERS = "instance:sentryfuse_answers:rate5m"
_BEST = "instance_model:sentryfuse_best_accuracy:mean5m"
_EXPECTED = "instance_model:sentryfuse_expected_accuracy:mean5m"

ALERTS = (
    Alert(
        "SentryFuseNotReady",
        "sentryfuse_ready == 0",
        "5m",
        "critical",
        "{{ $labels.instance }} takes no requests",
        "It has not been ready for five minutes. GET /health/ready says why in `because`.",
    ),
    Alert(
        "SentryFuseBudgetsMissed",
        f'{_MISSED}{{kind!="accuracy"}} > 0.05',
        "5m",
        "warning",
        "{{ $labels.instance }} misses {{ $labels.kind }} budgets",
        "{{ $value | humanizePercentage }} of the {{ $labels.kind }} budgets of the last five "
        "minutes were missed or refused.",
    ),
    Alert(
        "SentryFuseAccuracyBelowFloor",
        f'{_MISSED}{{kind="accuracy"}} > 0.01',
        "5m",
        "warning",
        "{{ $labels.instance }} does not keep accuracy floors",
        "The expected accuracy was below the floor asked for {{ $value | humanizePercentage }} of "
        "the requests that state one.",
    ),
    Alert(
        "SentryFuseAccuracyGivenUp",
        f"{_BEST} - {_EXPECTED} > 0.05",
        "15m",
        "warning",
        "{{ $labels.instance }} answers {{ $labels.model }} with much smaller variants",
        "The expected accuracy of what is answered is {{ $value | humanizePercentage }} below the "
        "best there is for the same sensors.",
    ),
    Alert(
        "SentryFusePowerCapExceeded",
        f"{_POWER} > on (job, instance) 1.03 * sentryfuse_power_cap_watts",
        "1m",
        "critical",
        "{{ $labels.instance }} draws more than its cap",
        "Its mean power over a minute, {{ $value | humanize }} W, is more than 3 % above the cap.",
    ),
    Alert(
        "SentryFuseEnergyModelled",
        'sentryfuse_meter_info{quality="modelled"} == 1',
        "15m",
        "info",
        "{{ $labels.instance }} has no energy meter",
        "Power and energy are modelled ({{ $labels.source }}), and so are budgets and caps in "
        "watts and joules.",
    ),
    Alert(
        "SentryFuseMeterLost",
        "increase(sentryfuse_meter_failovers_total[15m]) > 0",
        "0m",
        "warning",
        "{{ $labels.instance }} lost its energy meter",
        "Another meter had to take over within the last fifteen minutes.",
    ),
    Alert(
        "SentryFuseRedisBreakerOpen",
        "max_over_time(sentryfuse_redis_breaker_open[1m]) == 1",
        "2m",
        "warning",
        "{{ $labels.instance }} leaves Redis alone",
        "Redis gave no usable answers. Requests do not fail, but masks are not shared.",
    ),
    Alert(
        "SentryFuseSiteOutOfTouch",
        "max_over_time(sentryfuse_site_in_touch[1m]) == 0",
        "2m",
        "warning",
        "{{ $labels.instance }} is out of touch with its site",
        "It could not agree on the site's ledger: it keeps to its guaranteed share, and is lent "
        "nothing.",
    ),
    Alert(
        "SentryFuseQueueGrowing",
        "min_over_time(sentryfuse_queue_depth[2m]) > 10 and deriv(sentryfuse_queue_depth[2m]) > 0",
        "1m",
        "warning",
        "The queue of {{ $labels.instance }} grows",
        "More comes than is answered: the queue has not been below eleven requests for two "
        "minutes, and grows by {{ $value | humanize }} in each second.",
    ),
    Alert(
        "SentryFuseShedding",
        f"{_SHED} / ({_SHED} + {_ANSWERS}) > 0.1",
        "5m",
        "warning",
        "{{ $labels.instance }} turns requests away",
        "{{ $value | humanizePercentage }} of the inference requests were refused or given up.",
    ),
)
