import os
import subprocess
import sys
from pathlib import Path


def _loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_importing_variants_needs_neither_torch_nor_onnx() -> None:
    assert not _loaded_by("import sentryfuse.variants") & {"torch", "onnx"}


def test_building_needs_neither_torch_nor_onnx() -> None:
    statement = (
        "from tests.bundles import random_bundle; from sentryfuse.variants import VariantBuilder;"
        "b = VariantBuilder(random_bundle()); b.build(b.mask(b.bundle.spec.full_presence, 0.5))"
    )

    assert not _loaded_by(statement) & {"torch", "onnx"}


def test_the_engine_keeps_no_identity_of_this_machine_and_starts_no_uploader(
    tmp_path: Path,
) -> None:
    # In CI and under tests it would not do so anyway: those variables are taken away.
    quiet = {"CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in quiet}
    statement = "import os, sentryfuse.variants; print(len(os.listdir('/proc/self/task')))"
    done = subprocess.run(
        [sys.executable, "-c", statement],
        env={**environment, "HOME": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert not [*tmp_path.rglob("*")]
    assert int(done.stdout) == 1
