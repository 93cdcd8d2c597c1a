"""The comparison with other servers, shortly, with the one that needs no environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.peers.command import main
from benchmarks.peers.environment import InstallError, interpreter
from benchmarks.peers.peer import Peer
from benchmarks.peers.systems import SYSTEMS


@pytest.mark.benchmark
@pytest.mark.timeout(240)
def test_ours_and_a_peer_take_turns_and_every_answer_is_the_graphs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = ["--turns", "1", "--seconds", "0.2", "--quiet"]
    main(["--peers", "fastapi", "--out", str(tmp_path), *short])
    assert "FastAPI" in capsys.readouterr().out
    record = json.loads((tmp_path / "records" / "peers.json").read_text(encoding="utf-8"))
    assert record["left_out"] == {}
    assert set(record["turns"]) == {
        "loop",
        "ours",
        "ours-json",
        "ours-free",
        "ours-frugal",
        "fastapi",
    }
    assert record["figures"]["peer_frugal_accuracy_change"]["value"] >= -0.01
    for name in ("ours", "ours-json", "fastapi"):
        (turn,) = record["turns"][name]
        assert turn["saturated_hz"] > 0
        assert turn["saturated_cpu_s"] > 0
        assert turn["client_cpu_s"] > 0
        assert turn["one_p99_s"] >= turn["one_p50_s"] > record["turns"]["loop"][0]["one_p50_s"] / 2
        assert turn["rss_bytes"] >= turn["pss_bytes"] > 20e6
        assert 2 <= len(turn["tried"]) <= 5
    assert record["turns"]["fastapi"][0]["processes"] > record["turns"]["ours"][0]["processes"]
    assert record["figures"]["peer_memory_ratio"]["value"] > 0
    assert record["peer_p50_ratio_best_peer"] == "fastapi"


def test_a_peer_that_does_not_install_says_why(tmp_path: Path) -> None:
    wanted = tmp_path / "requirements.txt"
    wanted.write_text("/no/such/package.whl\n")
    usual = SYSTEMS["fastapi"]
    peer = Peer(
        name="broken",
        title="Broken",
        body="JSON",
        configuration="",
        advice="",
        requirements=wanted,
        command=usual.command,
        message=usual.message,
        answer=usual.answer,
    )
    with pytest.raises(InstallError, match=r"package\.whl"):
        interpreter(peer, tmp_path / "environments")
    assert not (tmp_path / "environments" / "broken" / "ready").exists()
