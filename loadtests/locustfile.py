"""Wearers with budgets and sensors that drop out, for people who know Locust.

    locust -f loadtests/locustfile.py --host http://localhost:8080 --users 50 --spawn-rate 10

Each user is a wearer who sends a window a second, with the sensors that are there at the moment
and a latency budget. An answer that missed its budget, and a refusal, count as failures, each
under its own name. Locust's users wait for their answers (a closed loop): a slow server is asked
less, so latencies look better than they are. ``python -m loadtests play`` does not wait.

Needs Locust alone: ``pip install locust`` in an environment of its own, or ``sentryfuse[locust]``.
"""

from __future__ import annotations

import random
import time
from typing import Any

import gevent
from locust import FastHttpUser, constant_throughput, events, task

from loadtests.worn_sensors import WornSensors

_MOST_PATIENCE_S = 5.0


@events.init_command_line_parser.add_listener
def _add_options(parser: Any) -> None:
    add = parser.add_argument
    add("--model", default="", env_var="MODEL", help="model that is asked (the default one)")
    add("--budget-ms", type=float, default=50.0, env_var="BUDGET_MS", help="latency budget (50)")
    add("--power-w", type=float, env_var="POWER_W", help="power budget of each request (none)")
    add("--energy-mj", type=float, env_var="ENERGY_MJ", help="energy budget of each request (none)")
    add("--floor", type=float, env_var="FLOOR", help="lowest accuracy accepted (none)")
    add("--lenient", action="store_true", help="rather late than refused")
    add("--rate-hz", type=float, default=1.0, env_var="RATE_HZ", help="windows per second (1)")
    add("--up-s", type=float, default=10.0, env_var="UP_S", help="how long a sensor stays (10)")
    add(
        "--down-s",
        type=float,
        default=5.0,
        env_var="DOWN_S",
        help="how long it is away (5; 0: none ever drops out)",
    )
    add("--api-key", default="", env_var="API_KEY", is_secret=True, help="where one is needed")


class Wearer(FastHttpUser):
    """Somebody whose sensors send a window now and then."""

    def wait_time(self) -> float:
        """Send at the rate asked for, as far as answers come in time for that."""
        waiting: float = constant_throughput(self.environment.parsed_options.rate_hz)(self)
        return waiting

    def on_start(self) -> None:
        """Learn the model's sensors from a window that the service makes up."""
        options = self.environment.parsed_options
        self._chance = random.Random(id(self))
        self._key = {"Authorization": f"Bearer {options.api_key}"} if options.api_key else {}
        self._path = f"/v1/models/{options.model}/infer" if options.model else "/v1/infer"
        model = options.model or self._default_model()
        answer = self.client.get(
            f"/v1/models/{model}/sample", headers=self._key, name="/v1/models/{model}/sample"
        )
        self._window: dict[str, Any] = answer.json()["inputs"]
        self._sensors = WornSensors(
            tuple(self._window),
            up_s=options.up_s,
            down_s=options.down_s,
            chance=self._chance,
            now_s=time.monotonic(),
        )
        self._headers = self._key | {
            name: f"{value:g}"
            for name, value in (
                ("X-Latency-Budget-Ms", options.budget_ms),
                ("X-Power-Budget-W", options.power_w),
                ("X-Energy-Budget-mJ", options.energy_mj),
                ("X-Accuracy-Floor", options.floor),
            )
            if value is not None
        }
        if not options.lenient:
            self._headers["Prefer"] = "handling=strict"

    @task
    def infer(self) -> None:
        """Send a window of the sensors that are there."""
        there = self._sensors.at(time.monotonic())
        content = {"inputs": {name: self._window[name] for name in there}}
        with self.client.post(
            self._path,
            json=content,
            headers=self._headers,
            name=f"infer, {len(there)} sensors",
            catch_response=True,
        ) as answer:
            if answer.status_code == 200:
                if answer.headers.get("sentryfuse-budget-met") != "true":
                    answer.failure("late: the budget was missed")
                return
            answer.failure(f"{answer.status_code}: {_problem(answer)}")
            wait_s = float(answer.headers.get("retry-after") or 0.0) if answer.headers else 0.0
        gevent.sleep(min(wait_s, _MOST_PATIENCE_S))

    def _default_model(self) -> str:
        listed = self.client.get("/v1/models", headers=self._key).json()
        return next(str(model["name"]) for model in listed["models"] if model["default"])


def _problem(answer: Any) -> str:
    try:
        return str(answer.json().get("type", "")).rpartition(":")[2]
    except (ValueError, AttributeError, TypeError):
        return answer.error if isinstance(getattr(answer, "error", None), str) else "no answer"
