"""A certificate authority for one test, made by openssl."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key, as files."""

    cert: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """Signs certificates."""

    folder: Path
    own: Certificate

    def issue(self, name: str, *, alternative: str) -> Certificate:
        """Make a certificate for ``alternative``, such as ``IP:127.0.0.1``."""
        made = _paths(self.folder, name)
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n")
        _openssl("req", *_KEY, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
        _openssl(
            *("x509", "-req", "-days", "2", "-in", request, "-out", made.cert),
            *("-CA", self.own.cert, "-CAkey", self.own.key, "-CAcreateserial"),
            *("-extfile", extensions),
        )
        return made


def make_authority(folder: Path) -> Authority:
    """Make one that nobody else knows of."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (apt-get install openssl)")
    folder.mkdir()
    own = _paths(folder, "authority")
    subject = ("-subj", f"/CN=authority of {folder.name}", "-days", "2")
    _openssl("req", "-x509", *_KEY, *subject, "-keyout", own.key, "-out", own.cert)
    return Authority(folder, own)


def _paths(folder: Path, name: str) -> Certificate:
    return Certificate(folder / f"{name}.pem", folder / f"{name}.key")


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)
