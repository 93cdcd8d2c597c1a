"""An environment for each peer, built once with pinned versions."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.peer import Peer

ENVIRONMENTS = Path(".venv-peers")
"""Where they are kept; git ignores it."""


class InstallError(RuntimeError):
    """A peer's environment could not be built."""


def interpreter(peer: Peer, folder: Path) -> Path:
    """Return the interpreter that runs a peer, building its environment if need be.

    Raises:
        InstallError: pip failed; the message holds the end of what it said.
    """
    if peer.requirements is None:
        return Path(sys.executable)
    where = (folder / peer.name).absolute()
    python, done = where / "bin" / "python", where / "ready"
    wanted = hashlib.sha256(peer.requirements.read_bytes()).hexdigest()
    if done.exists() and done.read_text() == wanted:
        return python
    _run([sys.executable, "-m", "venv", str(where)])
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--requirement", str(peer.requirements)])
    done.write_text(wanted)
    return python


def installed(python: Path) -> list[str]:
    """Every package of an environment with its version, for the record."""
    listed = [str(python), "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
    return _run(listed).split()


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(f"{' '.join(command[1:4])} failed: {done.stderr.strip()[-500:]}")
    return done.stdout
