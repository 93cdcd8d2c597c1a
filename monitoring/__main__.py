"""``python -m monitoring``: write every file."""

from __future__ import annotations

from pathlib import Path

from monitoring.files import files


def main() -> None:
    """Write what has changed, and say so."""
    top = Path(__file__).parent.parent
    for path, text in files().items():
        target = top / path
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print("wrote", path)


if __name__ == "__main__":
    main()
