"""Nothing that is read can run: no pickles, no code in data."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = ("app", "sentryfuse")
RUNS_CODE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in Path(package).rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def calls(tree: ast.AST) -> Iterator[tuple[str, dict[str, object]]]:
    """Calls by dotted name, with those keyword arguments that are constants."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            constants = {
                k.arg: k.value.value
                for k in node.keywords
                if k.arg and isinstance(k.value, ast.Constant)
            }
            yield ast.unparse(node.func), constants


def faults(source: str) -> list[str]:
    tree = ast.parse(source)
    found = [f"imports {name}" for name in imports(tree) if name in RUNS_CODE]
    for name, given in calls(tree):
        if name in ("eval", "exec", "os.system", "os.popen") or given.get("shell") is True:
            found.append(f"calls {name}")
        if name in ("np.load", "numpy.load") and given.get("allow_pickle") is not False:
            found.append("np.load that may unpickle")
        if name == "torch.load" and given.get("weights_only") is not True:
            found.append("torch.load that may unpickle")
    return found


@pytest.mark.parametrize("path", modules(), ids=str)
def test_no_module_reads_what_could_run(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
    ],
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert faults(source)
