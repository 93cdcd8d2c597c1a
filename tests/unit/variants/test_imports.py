import subprocess
import sys


def _loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_importing_variants_needs_neither_torch_nor_onnx() -> None:
    assert not _loaded_by("import sentryfuse.variants") & {"torch", "onnx"}


def test_building_needs_no_torch() -> None:
    statement = (
        "from tests.bundles import random_bundle; from sentryfuse.variants import VariantBuilder;"
        "b = VariantBuilder(random_bundle()); b.build(b.mask(b.bundle.spec.full_presence, 0.5))"
    )

    assert "torch" not in _loaded_by(statement)
