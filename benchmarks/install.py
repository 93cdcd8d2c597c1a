"""How long a newcomer waits: from a clean clone to the first answer, and what it takes on disk.

Downloads count, so the figure depends on the network and on pip's cache. Run:

    python benchmarks/install.py
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

from sentryfuse.bench import Record

READY_TIMEOUT_S = 600.0


def tree_bytes(folder: Path) -> int:
    return sum(f.lstat().st_size for f in folder.rglob("*") if not f.is_dir())


def wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.2)
    raise SystemExit("the service did not become ready")


def main() -> None:
    record = Record(
        "install", "How long does `make serve` take from a clean clone, and how big is it?"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", ".", str(clone)], check=True)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SENTRYFUSE_")}
        environment["XDG_CACHE_HOME"] = folder  # so that this host is measured anew
        started = time.perf_counter()
        process = subprocess.Popen(
            ["make", "serve", f"PORT={port}"],
            cwd=clone,
            env=environment,
            stdout=subprocess.DEVNULL,
            process_group=0,
        )
        try:
            wait_until_ready(port, process)
            seconds = time.perf_counter() - started
            size = tree_bytes(clone / ".venv")
            has_torch = any((clone / ".venv").glob("lib/*/site-packages/torch"))
        finally:
            os.killpg(process.pid, 15)
            process.wait(timeout=30)
    if has_torch:
        raise SystemExit("make serve installed torch")
    record.add_figure("serve_from_clone_seconds", seconds, "s")
    record.add_figure("serving_environment_bytes", size, "B")
    print(f"ready after {seconds:.1f} s; the environment takes {size / 1e6:.0f} MB")
    print("wrote", record.save())


if __name__ == "__main__":
    main()
