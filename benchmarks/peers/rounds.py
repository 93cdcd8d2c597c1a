"""All systems, in turns."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers.environment import InstallError, installed, interpreter
from benchmarks.peers.material import Material
from benchmarks.peers.peer import Peer
from benchmarks.peers.running import ServerError, running
from benchmarks.peers.turn import Plan, check_answers, take_turn
from loadtests.trial import Submit
from sentryfuse.cli.screen import Report, Screen

LOOP = "loop"
_REPOSITORY = Path(__file__).parents[2]


@dataclass(kw_only=True)
class Rounds:
    """What is needed for turns, and what came of them.

    Args:
        material: What is served and asked.
        models: Directory of bundles, for our service.
        cache: A folder that stays from turn to turn.
        environments: Where those of the peers are.
        cores: Of this machine.
        submit: Runs the client.
        screen: For people.
    """

    material: Material
    models: Path
    cache: Path
    environments: Path
    cores: int
    submit: Submit
    screen: Screen
    turns: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By system: one entry for each turn that went well."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Systems that did not install or run, and why."""
    packages: dict[str, list[str]] = field(default_factory=dict)
    pythons: dict[str, Path] = field(default_factory=dict)

    def install(self, peers: Sequence[Peer]) -> list[Peer]:
        """Build environments; return the peers that have one."""
        ready = []
        for peer in peers:
            try:
                python = interpreter(peer, self.environments)
                if peer.requirements is not None:
                    self.packages[peer.name] = installed(python)
            except InstallError as error:
                self._leave_out(peer, error)
                continue
            self.pythons[peer.name] = python
            ready.append(peer)
        return ready

    def check(self, peers: Sequence[Peer]) -> None:
        """Start each once and compare its answers; nothing is measured."""
        for peer in peers:
            try:
                with self._running(peer) as server:
                    messages = self._messages(peer)
                    ready_s = server.wait_for_an_answer(messages[0])
                    check_answers(server, peer, messages, self.material.logits)
                    self.screen.say(f"{peer.title}: right answers, the first after {ready_s:.1f} s")
            except ServerError as error:
                self._leave_out(peer, error)

    def run(self, peers: Sequence[Peer], plan: Plan, *, turns: int, report: Report) -> None:
        """Let everybody have so many turns, each turn in another order."""
        total, done, began_s = turns * (len(peers) + 1), 0, time.monotonic()
        for turn in range(turns):
            self.turns.setdefault(LOOP, []).append(self._loop(plan))
            done += 1
            for peer in in_turn(peers, turn):
                left_s = (time.monotonic() - began_s) / done * (total - done)
                report("turns", done, total, f"{peer.title}; about {left_s:.0f} s left")
                if peer.name not in self.left_out:
                    self._turn(peer, plan, seed=turn)
                done += 1
        report("turns", total, total)

    def _turn(self, peer: Peer, plan: Plan, *, seed: int) -> None:
        try:
            with self._running(peer) as server:
                turn = take_turn(
                    server,
                    peer,
                    self._messages(peer),
                    self.material.logits,
                    self.submit,
                    plan,
                    seed=seed,
                )
        except (ServerError, OSError) as error:
            self._leave_out(peer, error)
            return
        self.turns.setdefault(peer.name, []).append(turn.to_json())

    def _loop(self, plan: Plan) -> dict[str, Any]:
        """The bare loop's turn."""
        module = [sys.executable, "-m", "benchmarks.peers.loop"]
        arguments = [str(self.material.graph), str(self.cores), str(plan.seconds)]
        done = subprocess.run(
            [*module, *arguments], capture_output=True, text=True, check=True, cwd=_REPOSITORY
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _running(self, peer: Peer) -> Any:
        return running(
            peer,
            python=self.pythons[peer.name],
            graph=self.material.graph,
            models=self.models,
            cache=self.cache,
            cores=self.cores,
        )

    def _messages(self, peer: Peer) -> list[bytes]:
        return [peer.message(window) for window in self.material.windows]

    def _leave_out(self, peer: Peer, error: Exception) -> None:
        self.left_out[peer.name] = str(error)
        self.screen.note(f"{peer.title} is left out: {error}")


def in_turn(peers: Sequence[Peer], turn: int) -> list[Peer]:
    """The same peers, beginning with another one each time and every other time backwards."""
    start = (turn * 3) % len(peers)
    order = [*peers[start:], *peers[:start]]
    return order[::-1] if turn % 2 else order


def describe(peers: Sequence[Peer]) -> Mapping[str, Mapping[str, str]]:
    """How each is set up, for the record."""
    return {
        peer.name: {
            "title": peer.title,
            "body": peer.body,
            "configuration": peer.configuration,
            "advice": peer.advice,
            "requirements": "" if peer.requirements is None else peer.requirements.read_text(),
        }
        for peer in peers
    }
