"""Whatever befalls nodes, messages and the store, the site's cap is kept.

Members run as in the service, against a store that only ever replaces exactly what was read. Time
is one for all; each node sees it through a clock of its own pace.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.site import Entry, Ledger, Member, Terms, read_ledger
from app.site.member import LEASE_S, MARGIN_S
from app.site.sharing import due_mw

CAP_W, SHARE_W, IDLE_W, NODES = 20.0, 3.0, 1.0, 3
GUARANTEED_W = NODES * SHARE_W
PACES = (0.92, 1.0, 1.08)
"""Of clocks: seconds on them for each true one."""

nodes = st.integers(0, NODES - 1)
demands = st.sampled_from((IDLE_W, 2.0, 4.0, 8.0, 30.0))


@dataclass
class Store:
    """Replaces a value if it is what somebody read, and is another server after a restart."""

    server: str = "run-0"
    value: bytes | None = None
    past: list[bytes | None] = field(default_factory=lambda: [None])
    restarts: int = 0

    def swap(self, message: Message) -> bool:
        if (self.server, self.value) != (message.server, message.read):
            return False
        self.value = message.written
        self.past.append(self.value)
        return True

    def restart(self, value: bytes | None) -> None:
        self.restarts += 1
        self.server, self.value = f"run-{self.restarts}", value


@dataclass(frozen=True)
class Message:
    server: str
    read: bytes | None
    written: bytes


@dataclass
class Node:
    """A node whose process may be replaced."""

    name: str
    pace: float
    member: Member
    demand_w: float = IDLE_W

    def usable_w(self, now_s: float) -> float:
        return self.member.usable_w(self.pace * now_s)


class World:
    """Nodes, their store, and what is under way between them."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.names = 0
        self.store = Store()
        self.late: list[Message] = []
        self.nodes = [
            Node(f"node-{i}", PACES[i % len(PACES)], self.new_member(f"node-{i}"))
            for i in range(NODES)
        ]

    def new_name(self) -> str:
        self.names += 1
        return f"name-{self.names}"

    def new_member(self, node: str) -> Member:
        terms = Terms(
            node=node,
            process=self.new_name(),
            cap_w=CAP_W,
            guaranteed_w=GUARANTEED_W,
            share_w=SHARE_W,
        )
        return Member(terms, new_epoch=self.new_name)

    def proposal(self, node: Node, reading_s: float = 0.0) -> Message:
        """A round up to the sending of its proposal; the answer to reading came late."""
        read, server, began_s = self.store.value, self.store.server, node.pace * self.now_s
        self.now_s += reading_s
        written = node.member.propose(
            read_ledger(read),
            server,
            demand_w=node.demand_w,
            idle_w=IDLE_W,
            began_s=began_s,
            now_s=node.pace * self.now_s,
        )
        return Message(server, read, written.to_bytes())

    def round(self, node: Node) -> None:
        """A round in which nothing goes wrong."""
        if self.store.swap(self.proposal(node)):
            node.member.agree()

    def rounds(self, count: int) -> None:
        for _ in range(count):
            self.now_s += 0.5
            for node in self.nodes:
                self.round(node)

    def usable_w(self) -> float:
        return sum(node.usable_w(self.now_s) for node in self.nodes)


class SiteMachine(RuleBasedStateMachine):
    """Nodes, messages and the store in any order of events."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @initialize(wanted=st.lists(demands, min_size=NODES, max_size=NODES), warm=st.booleans())
    def begin(self, wanted: list[float], warm: bool) -> None:
        for node, demand_w in zip(self.world.nodes, wanted, strict=True):
            node.demand_w = demand_w
        self.world.rounds(24 if warm else 0)

    @rule(seconds=st.sampled_from((0.05, 0.3, 1.0, 2.5, LEASE_S, LEASE_S + MARGIN_S)))
    def time_passes(self, seconds: float) -> None:
        self.world.now_s += seconds

    @rule(count=st.integers(1, 16))
    def all_goes_well(self, count: int) -> None:
        for _ in range(count):
            self.world.rounds(1)
            self.the_cap_is_kept()

    @rule(which=nodes, count=st.integers(1, 16))
    def one_node_goes_on_alone(self, which: int, count: int) -> None:
        for _ in range(count):
            self.world.now_s += 0.5
            self.world.round(self.world.nodes[which])
            self.the_cap_is_kept()

    @rule(which=nodes, watts=demands)
    def demand_changes(self, which: int, watts: float) -> None:
        self.world.nodes[which].demand_w = watts

    @rule(which=nodes, reading_s=st.sampled_from((0.0, 0.2, 1.5)))
    def a_proposal_is_late(self, which: int, reading_s: float) -> None:
        self.world.late.append(self.world.proposal(self.world.nodes[which], reading_s))

    @rule(index=st.integers(0, 9))
    def a_late_proposal_comes_and_its_answer_is_lost(self, index: int) -> None:
        if self.world.late:
            self.world.store.swap(self.world.late.pop(index % len(self.world.late)))

    @rule(which=nodes)
    def a_process_is_killed_and_replaced(self, which: int) -> None:
        node = self.world.nodes[which]
        node.member = self.world.new_member(node.name)

    @rule(which=nodes)
    def a_node_ends_in_order(self, which: int) -> None:
        node, store = self.world.nodes[which], self.world.store
        node.member.give_up()
        ledger = read_ledger(store.value)
        if ledger is not None:
            store.value = ledger.struck_out(node.member.terms.process).to_bytes()
        node.member = self.world.new_member(node.name)

    @rule()
    def the_store_forgets_everything(self) -> None:
        self.world.store.value = None

    @rule()
    def the_store_restarts_empty(self) -> None:
        self.world.store.restart(None)

    @rule(back=st.integers(1, 30))
    def another_store_takes_over_with_an_old_copy(self, back: int) -> None:
        past = self.world.store.past
        self.world.store.restart(past[-min(back, len(past))])

    @rule(value=st.sampled_from((b"", b"{", b'{"form":1}', b"[]")))
    def the_ledger_is_damaged(self, value: bytes) -> None:
        self.world.store.value = value

    @invariant()
    def the_cap_is_kept(self) -> None:
        assert self.world.usable_w() <= CAP_W + 1e-9

    @invariant()
    def every_node_has_its_share(self) -> None:
        assert all(node.usable_w(self.world.now_s) >= SHARE_W for node in self.world.nodes)


TestSite = SiteMachine.TestCase
TestSite.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)


@given(wanted=st.lists(demands, min_size=NODES, max_size=NODES))
def test_what_is_wanted_is_lent_out_in_proportion_and_then_stays(wanted: list[float]) -> None:
    world = World()
    for node, demand_w in zip(world.nodes, wanted, strict=True):
        node.demand_w = demand_w
    world.rounds(30)
    settled = [node.usable_w(world.now_s) for node in world.nodes]
    lacking_w = sum(max(demand_w - SHARE_W, 0) for demand_w in wanted)
    band_w = NODES * (CAP_W - GUARANTEED_W) / 50
    assert sum(settled) >= GUARANTEED_W + min(lacking_w, CAP_W - GUARANTEED_W) - band_w
    for demand_w in set(wanted):
        alike = [held for held, want in zip(settled, wanted, strict=True) if want == demand_w]
        assert max(alike) - min(alike) <= band_w
    world.rounds(10)
    assert [node.usable_w(world.now_s) for node in world.nodes] == settled


@given(
    wanted=st.lists(
        st.tuples(st.integers(0, 50_000), st.integers(0, 9_000), st.integers(0, 3_000)),
        min_size=1,
        max_size=8,
    ),
    pool=st.integers(0, 60_000),
)
def test_all_of_the_pool_is_due_or_all_that_is_wanted(
    wanted: list[tuple[int, int, int]], pool: int
) -> None:
    entries = {
        str(i): Entry(
            node=str(i),
            cap_mw=10**6,
            guaranteed_mw=0,
            share_mw=share,
            idle_mw=idle,
            demand_mw=demand,
            lent_mw=0,
            renewed=0,
        )
        for i, (demand, share, idle) in enumerate(wanted)
    }
    due = due_mw(entries, pool)
    want = {n: max(e.demand_mw - max(e.share_mw, e.idle_mw), 0) for n, e in entries.items()}
    assert sum(due.values()) <= pool
    assert all(0 <= due[name] <= want[name] for name in entries)
    assert sum(due.values()) >= min(pool, sum(want.values())) - len(entries)


@given(st.binary(max_size=200))
def test_nothing_that_is_stored_breaks_the_reading_of_a_ledger(value: bytes) -> None:
    assert read_ledger(value) is None


def test_a_ledger_reads_back_as_it_was_written() -> None:
    world = World()
    world.rounds(20)
    ledger = read_ledger(world.store.value)
    assert isinstance(ledger, Ledger)
    assert read_ledger(ledger.to_bytes()) == ledger
