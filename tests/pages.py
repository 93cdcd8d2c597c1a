"""The documentation as a reader meets it: its examples, and what it takes to run one."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
PAGES = (
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
)
SHELL = ("sh", "bash", "console")
RUN = (*SHELL, "python", "js")
DATA = ("json", "yaml", "toml")

# Programs that can't do their work where tests run, and what they would need.
NEEDS = {
    "kubectl": "a cluster",
    "k3s": "a cluster",
    "helm": "a cluster",
    "docker": "a container engine",
    "podman": "a container engine",
    "systemctl": "a host to change",
    "sudo": "a host to change",
}
_FENCE = re.compile(
    r"(?:^<!-- (?P<remark>[^\n]*?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
_COMMAND = re.compile(rf"(?:^|[|;&(]) *(?:[A-Z_]+=\S* +)*({'|'.join(NEEDS)})(?= |$)", re.MULTILINE)
_MEASURES = re.compile(
    r"^(?:\S*/)?python (?:-m (?:loadtests|benchmarks)|benchmarks/)", re.MULTILINE
)
_CALL = re.compile(
    r"(?:^|[|;(] *|/|=\S* )(?:python -m )?((?:sentryfuse|loadtests) \w[^\n|;)]*)", re.MULTILINE
)
_SERVER = re.compile(r"(?:[A-Z_]+=\S* +)*(?:\S*/)?(?:sentryfuse serve|make serve)\b[^\n|&]*")


@dataclass(frozen=True, slots=True)
class Example:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    code: str
    remark: str
    """The comment in front of it, for the tests: ``not run: REASON`` or ``answer``."""

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"

    @property
    def excuse(self) -> str | None:
        """Why it is not run, if it is one that could be."""
        if self.language not in RUN:
            return None
        if self.remark.startswith("not run: "):
            return self.remark.removeprefix("not run: ")
        if self.language in SHELL and _MEASURES.search(self.code):
            return "measures for minutes"
        return self.needs

    @property
    def needs(self) -> str | None:
        """What its programs would need that tests have not."""
        found = _COMMAND.search(self.code) if self.language in SHELL else None
        return NEEDS[found[1]] if found else None

    @property
    def server(self) -> str | None:
        """The command that serves from here on, if the block ends with one."""
        if self.language not in SHELL or not self.code.strip():
            return None
        last = self.code.rstrip().splitlines()[-1].removeprefix("$ ").partition(" #")[0].rstrip()
        return last if _SERVER.fullmatch(last) else None

    @property
    def script(self) -> str:
        """What is typed, without installations and without the server at the end."""
        lines = self.code.splitlines()
        if self.language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        if self.server:
            lines = lines[:-1]
        return "\n".join(line for line in lines if not _installs(line)) + "\n"

    @property
    def extras(self) -> tuple[str, ...]:
        """Parts of the package that it tells to install."""
        words = " ".join(line for line in self.code.splitlines() if _installs(line))
        return tuple(e for part in re.findall(r"\[([\w,]+)\]", words) for e in part.split(","))

    @property
    def commands(self) -> list[list[str]]:
        """Calls of our own programs, word by word, ``sentryfuse`` or ``loadtests`` first."""
        joined = self.code.replace("\\\n", " ")
        calls = _CALL.findall(joined)
        return [shlex.split(call, comments=True) for call in calls]


def examples(page: Path) -> list[Example]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Example(
            page=page,
            line=text.count("\n", 0, match.start("indent")) + 1,
            language=match["language"],
            code=re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE),
            remark=match["remark"] or "",
        )
        for match in _FENCE.finditer(text)
    ]


def _installs(line: str) -> bool:
    return re.match(r"(?:\S*/)?pip install ", line) is not None
