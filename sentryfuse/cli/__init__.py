"""The command line: ``sentryfuse train | build | inspect | profile | predict | serve | data``.

Modules here import what a command needs when it runs, so that ``--help`` is instant and nothing
but ``train`` ever imports torch.
"""

from sentryfuse.cli.root import main

__all__ = ["main"]
