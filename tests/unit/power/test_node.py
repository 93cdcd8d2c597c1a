from __future__ import annotations

import pytest

from app.power.node import Drawn, Node
from app.scheduling.power_gate import PowerGate
from sentryfuse.energy import Covers, CpuTimeMeter, ReplayMeter, Sample
from tests.unit.clocks import Clock


class Bench:
    """A node of one core on the CPU-time model: 3 W idle, 5 W for the core."""

    def __init__(self, cap_w: float | None = None) -> None:
        self.clock, self.cpu = Clock(), Clock(0.0)
        self.node = Node(
            CpuTimeMeter(5.0, 3.0, clock=self.clock, cpu_clock=self.cpu),
            power_cap_w=cap_w,
            price_j_per_cpu_s=5.0,
            cpu_clock=self.cpu,
            clock=self.clock,
        )

    def work(self, seconds: float, busy: float, inferences_j: float = 0.0) -> None:
        """Let time pass with the core this busy, looking at the meter four times a second."""
        for _ in range(round(seconds / 0.25)):
            self.clock.pass_by(0.25)
            self.cpu.pass_by(0.25 * busy)
            self.node.tick(inferences_j)


def test_power_is_the_mean_of_the_last_second() -> None:
    bench = Bench()
    assert bench.node.power_w == 3.0
    bench.work(2.0, busy=1.0)
    assert bench.node.power_w == pytest.approx(8.0)
    bench.work(0.5, busy=0.0)
    assert bench.node.power_w == pytest.approx(5.5)
    bench.work(0.5, busy=0.0)
    assert bench.node.power_w == pytest.approx(3.0)


def test_what_requests_are_charged_the_rest_and_idling_add_up_to_the_meter() -> None:
    bench = Bench()
    for _ in range(4):
        assert bench.node.charge(0.1) == pytest.approx(0.5)
        bench.work(0.25, busy=0.5)
    accounts = bench.node.accounts
    assert (accounts.idle_j, accounts.requests_j) == (pytest.approx(3.0), pytest.approx(2.0))
    assert accounts.overhead_j == pytest.approx(0.5)
    assert accounts.total_j == pytest.approx(bench.node.meter.joules())


def test_power_that_no_inference_explains_leaves_less_for_inference() -> None:
    quiet, noisy = Bench(cap_w=6.0), Bench(cap_w=6.0)
    quiet.work(3.0, busy=0.0)
    noisy.work(3.0, busy=0.3)
    assert noisy.node.gate.refill_w < quiet.node.gate.refill_w - 1.0


def test_power_that_inferences_explain_does_not() -> None:
    bench = Bench(cap_w=6.0)
    before_w = bench.node.gate.refill_w
    joules = 0.0
    for _ in range(12):
        joules += 5.0 * 0.25 * 0.3
        bench.work(0.25, busy=0.3, inferences_j=joules)
    assert bench.node.gate.refill_w == pytest.approx(before_w, rel=0.05)


def test_a_meter_that_moves_in_steps_is_judged_over_whole_steps() -> None:
    clock = Clock()
    samples = [Sample(float(second), 6.0 * second) for second in range(10)]
    meter = ReplayMeter(samples, idle_power_w=3.0, clock=clock)
    node = Node(meter, power_cap_w=None, price_j_per_cpu_s=5.0, cpu_clock=Clock(0.0), clock=clock)
    shown = set()
    for _ in range(16):
        clock.pass_by(0.25)
        node.tick(0.0)
        shown.add(round(node.power_w, 6))
    assert shown == {3.0, 6.0}, "idle until the first step, the mean from then on"


def test_an_idle_power_that_the_meter_has_learnt_reaches_the_gate() -> None:
    bench = Bench(cap_w=9.0)
    bench.node.meter._idle_power_w = 4.0  # type: ignore[attr-defined]
    bench.work(0.25, busy=0.0)
    assert bench.node.gate.idle_power_w == 4.0


class Pair:
    """Two processes on one node: 3 W idle, 5 W for each busy core."""

    def __init__(self, covers: Covers) -> None:
        self.clock = Clock()
        shared = Clock(0.0)
        self.cpus = [shared if covers == "node" else Clock(0.0) for _ in range(2)]
        self.nodes = [
            Node(
                CpuTimeMeter(5.0, 3.0, covers=covers, clock=self.clock, cpu_clock=cpu),
                power_cap_w=None,
                price_j_per_cpu_s=5.0,
                cpu_clock=cpu,
                clock=self.clock,
                processes=2,
            )
            for cpu in self.cpus
        ]

    def work(self) -> list[Drawn]:
        """Have each take half a CPU second within a second, two fifths of it for requests."""
        for node, cpu in zip(self.nodes, self.cpus, strict=True):
            cpu.pass_by(0.5)
            node.charge(0.2)
        leading, other = self.nodes
        leading.charge_others(other.accounts.charged_j)
        self.clock.pass_by(1.0)
        for node in self.nodes:
            node.tick(0.0)
        return [leading.share_of(leads=True), other.share_of(leads=False)]


@pytest.mark.parametrize("covers", ["node", "process"])
def test_what_two_processes_report_adds_up_to_the_node(covers: Covers) -> None:
    drawn = Pair(covers).work()
    assert sum(d.power_w for d in drawn) == pytest.approx(8.0)
    assert sum(d.idle_j for d in drawn) == pytest.approx(3.0)
    assert sum(d.requests_j for d in drawn) == pytest.approx(2.0)
    assert sum(d.overhead_j for d in drawn) == pytest.approx(3.0)


@pytest.mark.parametrize(("covers", "seen_w"), [("node", 3 + 5 / 2), ("process", 3 + 5 * 0.5)])
def test_a_gate_that_keeps_a_share_of_the_cap_sees_a_share_of_the_node(
    covers: Covers, seen_w: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    observe = PowerGate.observe

    def note(gate: PowerGate, power_w: float, *rest: float) -> None:
        seen.append(power_w)
        observe(gate, power_w, *rest)

    monkeypatch.setattr(PowerGate, "observe", note)
    Pair(covers).work()
    assert seen == [pytest.approx(seen_w)] * 2
