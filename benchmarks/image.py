"""How big is the image that serves, and how soon does a container of it answer?

Builds docker/Dockerfile as docker/ci-image does and starts containers of it, hardened, each on a
root of its own: `first` measures this host before it is ready, `again` finds what the first has
kept. Needs root and podman. Run:

    python benchmarks/image.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

from sentryfuse.bench import Record

PODMAN = "docker/podman"
NAME = "sentryfuse-measured"
PROFILES = "sentryfuse-measured-profiles"
READY_TIMEOUT_S = 120.0
LIMITS = {"image_bytes": 400e6, "image_compressed_bytes": 150e6, "ready_seconds": 5.0}


def podman(*arguments: str) -> str:
    done = subprocess.run([PODMAN, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def compressed_bytes(image: str) -> dict[str, int]:
    """Push the image as a registry would keep it, gzipped layers and all; weigh each layer."""
    with tempfile.TemporaryDirectory() as folder:
        podman("push", "--quiet", "--compress", "--format=v2s2", image, f"dir:{folder}")
        manifest = json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))
        layers = [layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]]
        return {name[:12]: (Path(folder) / name).stat().st_size for name in layers}


def seconds_to_ready(image: str, port: int) -> float:
    """Start a container and ask until it is ready; podman's own work is part of it."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    started = time.perf_counter()
    podman(
        *("run", "--detach", "--name", NAME, "--network=host", "--health-interval=disable"),
        *("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"),
        f"--volume={PROFILES}:/var/lib/sentryfuse/profiles",
        *(f"--env=SENTRYFUSE_PORT={port}", "--env=SENTRYFUSE_HOST=127.0.0.1", image),
    )
    try:
        while time.perf_counter() < started + READY_TIMEOUT_S:
            try:
                connection.request("GET", "/health/ready")
                response = connection.getresponse()
                response.read()
                if response.status == 200:
                    return time.perf_counter() - started
            except OSError:
                connection.close()
            time.sleep(0.02)
    finally:
        podman("rm", "--force", NAME)
    raise SystemExit("the container did not become ready")


def measure_starts(record: Record, image: str, port: int, rounds: int) -> None:
    first, again = [], []
    for _ in range(rounds):
        first.append(seconds_to_ready(image, port))
        again.append(seconds_to_ready(image, port))
        podman("volume", "rm", PROFILES)
    for name, samples in (("ready_seconds", first), ("ready_again_seconds", again)):
        record.add_samples(f"{name}_samples", samples, "s")
        middle = sorted(samples)[len(samples) // 2]
        spread = {"min": min(samples), "max": max(samples), "n": rounds}
        record.add_figure(name, middle, "s", spread)
        print(f"{name}: {middle:.2f} s ({min(samples):.2f} to {max(samples):.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--port", type=int, default=18480)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()
    built = subprocess.run(["docker/ci-image"], stdout=subprocess.PIPE, text=True, check=True)
    image = built.stdout.split()[-1]
    layers = compressed_bytes(image)
    record = Record(
        "image",
        "How big is the image that serves, and how soon does a container of it answer?",
        base="a stand-in for python:3.11-slim-bookworm, made of Debian's packages",
        compressed_bytes_by_layer=layers,
        limits=LIMITS,
    )
    size = int(podman("image", "inspect", "--format", "{{.Size}}", image))
    record.add_figure("image_bytes", size, "B")
    record.add_figure("image_compressed_bytes", sum(layers.values()), "B")
    print(f"{size / 1e6:.0f} MB, compressed {sum(layers.values()) / 1e6:.0f} MB: {layers}")
    measure_starts(record, image, args.port, args.rounds)
    if not args.no_record:
        print("wrote", record.save())


if __name__ == "__main__":
    main()
