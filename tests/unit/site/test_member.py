from __future__ import annotations

import pytest

from app.site import NewerLedgerError, read_ledger
from app.site.member import EARLY_S, LEASE_S, MARGIN_S
from tests.property.test_site_properties import CAP_W, IDLE_W, SHARE_W, World

POOL_W = CAP_W - 3 * SHARE_W


def busy(*wanted: float, rounds: int = 24) -> World:
    """A site that has settled."""
    world = World()
    for node, demand_w in zip(world.nodes, wanted, strict=True):
        node.demand_w = demand_w
    world.rounds(rounds)
    return world


def test_the_only_busy_node_gets_all_of_the_pool() -> None:
    world = busy(30.0, IDLE_W, IDLE_W)
    assert world.nodes[0].usable_w(world.now_s) == SHARE_W + POOL_W


def test_nodes_get_the_same_part_of_what_they_ask_beyond_idling() -> None:
    world = busy(21.0, 11.0, IDLE_W)
    first, second, third = (node.usable_w(world.now_s) for node in world.nodes)
    assert (first - IDLE_W) / 20 == pytest.approx((second - IDLE_W) / 10, rel=0.02)
    assert third == SHARE_W


def test_nobody_is_lent_anything_before_the_ledger_was_watched_for_a_whole_lease() -> None:
    world = busy(30.0, 30.0, 30.0, rounds=int((LEASE_S + MARGIN_S) / 0.5 * 0.9))
    assert world.usable_w() == 3 * SHARE_W


def test_without_the_store_a_node_falls_back_to_its_share_before_the_loan_ends() -> None:
    world = busy(30.0, IDLE_W, IDLE_W)
    node = world.nodes[0]
    at_s = world.now_s
    assert node.usable_w(at_s + (LEASE_S - EARLY_S) / node.pace - 0.01) > SHARE_W
    assert node.usable_w(at_s + (LEASE_S - EARLY_S) / node.pace + 0.01) == SHARE_W


def test_what_a_dead_node_held_is_lent_again_only_after_its_loan_and_the_margin() -> None:
    world = busy(30.0, IDLE_W, IDLE_W)
    dead, heir, idle = world.nodes
    dead.demand_w, heir.demand_w = IDLE_W, 30.0
    died_s = world.now_s
    while heir.usable_w(world.now_s) == SHARE_W:
        world.now_s += 0.25
        world.round(heir)
        world.round(idle)
        assert world.now_s - died_s < 10
    assert world.now_s - died_s >= LEASE_S + MARGIN_S
    assert heir.usable_w(world.now_s) == SHARE_W + POOL_W


def test_what_is_given_back_is_not_used_while_the_answer_is_awaited() -> None:
    world = busy(30.0, IDLE_W, IDLE_W)
    giver, taker, _ = world.nodes
    giver.demand_w, taker.demand_w = IDLE_W, 30.0
    assert world.store.swap(world.proposal(giver))  # written, and the answer is lost
    world.round(taker)
    assert taker.usable_w(world.now_s) == SHARE_W + POOL_W
    assert giver.usable_w(world.now_s) == SHARE_W


def test_holders_go_on_when_the_store_forgets_and_nobody_gets_more_meanwhile() -> None:
    world = busy(30.0, IDLE_W, IDLE_W)
    world.store.restart(None)
    world.nodes[1].demand_w = 30.0
    for _ in range(10):
        world.rounds(1)
        assert world.usable_w() <= CAP_W
        assert world.nodes[1].usable_w(world.now_s) == SHARE_W
    assert world.nodes[0].usable_w(world.now_s) > SHARE_W


def test_an_old_copy_on_another_server_lends_nothing() -> None:
    world = busy(IDLE_W, IDLE_W, IDLE_W)
    old = world.store.value
    world.nodes[0].demand_w = 30.0
    world.rounds(2)
    world.store.restart(old)  # in which the first node holds nothing
    world.nodes[1].demand_w = 30.0
    world.round(world.nodes[1])
    assert world.nodes[1].usable_w(world.now_s) == SHARE_W


def test_a_ledger_that_goes_back_on_the_same_server_lends_nothing() -> None:
    world = busy(IDLE_W, IDLE_W, IDLE_W)
    old = world.store.value
    world.nodes[0].demand_w = 30.0
    world.rounds(2)
    world.store.value = old
    world.nodes[1].demand_w = 30.0
    world.round(world.nodes[1])
    assert world.nodes[1].usable_w(world.now_s) == SHARE_W


def test_a_holder_that_was_struck_out_uses_nothing_more_even_if_its_clock_stood_still() -> None:
    world = busy(30.0, IDLE_W, IDLE_W)
    frozen, heir, _ = world.nodes
    heir.demand_w = 30.0
    began_s = world.now_s
    for _ in range(16):
        world.now_s += 0.5
        world.round(heir)
    frozen.pace *= began_s / world.now_s  # a virtual machine that was halted
    world.proposal(frozen)
    assert frozen.usable_w(world.now_s) == SHARE_W


def test_more_nodes_than_were_declared_make_the_pool_smaller() -> None:
    world = busy(30.0, IDLE_W, IDLE_W)
    world.nodes.append(type(world.nodes[0])("node-x", 1.0, world.new_member("node-x")))
    world.rounds(4)
    assert world.nodes[0].member.pool_w == POOL_W - SHARE_W
    assert world.usable_w() <= CAP_W


def test_a_process_that_takes_anothers_place_does_not_make_the_pool_smaller() -> None:
    world = busy(30.0, IDLE_W, IDLE_W)
    world.nodes[1].member = world.new_member("node-1")
    world.rounds(8)
    assert world.nodes[0].member.pool_w == POOL_W


def test_the_smallest_cap_that_a_node_was_told_counts_for_all() -> None:
    world = busy(30.0, IDLE_W, IDLE_W)
    written = world.store.value
    assert written is not None
    world.store.value = written.replace(b'"cap_mw":20000', b'"cap_mw":15000', 1).replace(
        b'"version":', b'"version":1'
    )
    world.round(world.nodes[1])
    assert world.nodes[1].member.pool_w == POOL_W - 5


def test_a_ledger_of_a_newer_form_is_left_alone() -> None:
    with pytest.raises(NewerLedgerError, match="got 2"):
        read_ledger(b'{"form": 2}')
