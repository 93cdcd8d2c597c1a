"""Daily and Sports Activities: 19 activities, 8 people, five body-worn sensor units.

The official archive holds ``data/a01..a19/p1..p8/s01..s60.txt``: one five-second segment each,
125 lines of 45 numbers (nine channels of torso, right arm, left arm, right leg, left leg).
It is read in place: nothing is extracted to a path that the archive chooses.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from sentryfuse.data.source import Progress, Source
from sentryfuse.data.windows import WindowSet
from sentryfuse.errors import DataError
from sentryfuse.spec import ModalitySpec

ACTIVITIES = (
    "sitting",
    "standing",
    "lying_on_back",
    "lying_on_right_side",
    "ascending_stairs",
    "descending_stairs",
    "standing_in_elevator",
    "moving_around_in_elevator",
    "walking_in_parking_lot",
    "walking_treadmill_flat_4kmh",
    "walking_treadmill_15deg_4kmh",
    "running_treadmill_8kmh",
    "stepper",
    "cross_trainer",
    "exercise_bike_horizontal",
    "exercise_bike_vertical",
    "rowing",
    "jumping",
    "playing_basketball",
)
UNITS = ("torso", "right_arm", "left_arm", "right_leg", "left_leg")
CHANNELS = tuple(f"{sensor}_{axis}" for sensor in ("acc", "gyro", "mag") for axis in "xyz")
_CHANNEL_UNITS = (
    *("m/s^2",) * 3,
    *("rad/s",) * 3,
    *("normalised to the local earth field (a.u.)",) * 3,
)
# Below the noise of the sensors; lets half precision and compression do their work.
_GRID = np.array([0.02] * 3 + [0.01] * 3 + [0.002] * 3)
_SAMPLES = 125
_RATE_HZ = 25
_COLUMNS = len(UNITS) * len(CHANNELS)
_MEMBER = re.compile(r"(?:.*/)?a(\d{2})/p(\d)/s(\d{2})\.txt")
# A segment takes about 50 kB; far more than that is not a segment.
_MAX_MEMBER_BYTES = 1_000_000
# What reading a damaged archive may raise.
_DAMAGE = (BadZipFile, EOFError, OSError, RuntimeError, ValueError, struct.error, zlib.error)


@dataclass(frozen=True, slots=True)
class Layout:
    """How many activities, subjects and segments the archive must hold."""

    activities: int = len(ACTIVITIES)
    subjects: int = 8
    segments: int = 60

    def ids(self) -> list[tuple[int, int, int]]:
        """(subject, activity, segment) of every segment, in the order of the windows."""
        return [
            (subject, activity, segment)
            for subject in range(1, self.subjects + 1)
            for activity in range(1, self.activities + 1)
            for segment in range(1, self.segments + 1)
        ]


OFFICIAL = Layout()


def convert(
    archive: Path, progress: Progress = lambda done, total: None, layout: Layout = OFFICIAL
) -> WindowSet:
    """Read the official archive into windows; all segments are kept.

    Args:
        archive: The ``.zip`` as downloaded.
        progress: Told how many files are read.
        layout: What the archive must hold.

    Raises:
        DataError: The archive is damaged or incomplete, or a segment is not 125 lines of 45
            numbers; the message names the file and line.
    """
    keys = layout.ids()
    values = np.empty((len(keys), _SAMPLES, len(UNITS), len(CHANNELS)), dtype=np.float16)
    try:
        with ZipFile(archive) as opened:
            members = _find_members(opened, set(keys), archive)
            for row, key in enumerate(keys):
                segment = _read_segment(opened, members[key], archive)
                values[row] = np.round(segment / _GRID) * _GRID
                progress(row + 1, len(keys))
    except FileNotFoundError:
        raise DataError(f"{archive}: no such file") from None
    except _DAMAGE as error:
        raise DataError(f"{archive}: not a readable zip archive: {error}") from error
    subject, activity, _ = np.array(keys).T
    return WindowSet(
        name=DSADS.name,
        arrays={name: np.ascontiguousarray(values[:, :, i]) for i, name in enumerate(UNITS)},
        label=activity.astype(np.int64) - 1,
        group=subject.astype(np.int64),
        class_names=ACTIVITIES,
        modalities=tuple(
            ModalitySpec(
                name=name,
                length=_SAMPLES,
                channels=len(CHANNELS),
                rate_hz=_RATE_HZ,
                unit=", ".join(dict.fromkeys(_CHANNEL_UNITS)),
                channel_names=CHANNELS,
            )
            for name in UNITS
        ),
        meta=_meta(len(keys), layout),
    )


def _find_members(
    opened: ZipFile, wanted: set[tuple[int, int, int]], archive: Path
) -> dict[tuple[int, int, int], ZipInfo]:
    members: dict[tuple[int, int, int], ZipInfo] = {}
    for info in opened.infolist():
        match = _MEMBER.fullmatch(info.filename)
        if match is None:
            continue
        activity, subject, segment = (int(part) for part in match.groups())
        key = (subject, activity, segment)
        if key in members:
            raise DataError(
                f"{archive}: {info.filename} and {members[key].filename} are the same segment"
            )
        members[key] = info
    missing = sorted(wanted - set(members))
    if missing:
        subject, activity, segment = missing[0]
        raise DataError(
            f"{archive}: lacks {len(missing)} of {len(wanted)} segments, the first is "
            f"data/a{activity:02d}/p{subject}/s{segment:02d}.txt"
        )
    return members


def _read_segment(opened: ZipFile, info: ZipInfo, archive: Path) -> NDArray[np.float64]:
    """Values of one file, ``[samples, units, channels]``."""
    where = f"{archive}: {info.filename}"
    if info.file_size > _MAX_MEMBER_BYTES:
        raise DataError(f"{where}: {info.file_size} bytes are too many for a segment")
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise DataError(f"{where}: is compressed in an unknown way ({info.compress_type})")
    lines = opened.read(info).decode("ascii", errors="replace").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) != _SAMPLES:
        raise DataError(f"{where}: has {len(lines)} lines, not {_SAMPLES}")
    rows = [_read_line(line, f"{where}, line {number}") for number, line in enumerate(lines, 1)]
    return np.array(rows).reshape(_SAMPLES, len(UNITS), len(CHANNELS))


def _read_line(line: str, where: str) -> list[float]:
    fields = line.split(",")
    if len(fields) != _COLUMNS:
        raise DataError(f"{where}: has {len(fields)} numbers, not {_COLUMNS}")
    try:
        numbers = [float(field) for field in fields]
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None
    if not all(-1e4 < number < 1e4 for number in numbers):  # false for NaN as well
        raise DataError(f"{where}: holds a value that no sensor gives: {line.strip():.60}...")
    return numbers


def _meta(windows: int, layout: Layout) -> dict[str, Any]:
    described = {
        "channels": list(CHANNELS),
        "units": list(_CHANNEL_UNITS),
        "rate_hz": _RATE_HZ,
    }
    return {
        "dataset": DSADS.title,
        "application": DSADS.application,
        "class_names": list(ACTIVITIES),
        "modality_keys": list(UNITS),
        "modalities": {
            name: {
                "sensor": f"Xsens MTx unit on {name}: 3-axis accelerometer + 3-axis gyroscope "
                "+ 3-axis magnetometer",
                **described,
            }
            for name in UNITS
        },
        "window": f"5 s segments of {_SAMPLES} samples as published, no overlap; all "
        f"{layout.segments} consecutive segments per (subject, activity) are kept",
        "preprocessing": "values rounded to a grid below the sensor noise (0.02 m/s^2, "
        "0.01 rad/s, 0.002) and stored as float16; no filtering or normalisation",
        "label": f"activity 0..{len(ACTIVITIES) - 1}",
        "group": f"subject 1..{layout.subjects}",
        "order": "rows sorted by subject, activity, segment number (time order within each)",
        "source": {
            "authors": "Billur Barshan, Kerem Altun (Bilkent University)",
            "citation": DSADS.citation,
            "licence": DSADS.licence,
            "home": DSADS.home,
            "taken_from": DSADS.url,
        },
        "recommended_split": {
            "by": "group (subject)",
            "train": [1, 2, 3, 4, 5],
            "val": [6],
            "test": [7, 8],
        },
        "n_windows": windows,
        "n_groups": layout.subjects,
    }


DSADS = Source(
    name="dsads",
    title="Daily and Sports Activities (DSADS)",
    application="human activity recognition (body-worn IMUs)",
    home="https://archive.ics.uci.edu/dataset/256/daily+and+sports+activities",
    url="https://archive.ics.uci.edu/static/public/256/daily+and+sports+activities.zip",
    archive_name="daily+and+sports+activities.zip",
    size_bytes=170_800_010,
    sha256="f42ad7744ecf14151c9fa3a86dfb5b24de9d7cb7ffe956ef5de242983459c77e",
    licence="CC BY 4.0",
    citation="B. Barshan, K. Altun, Daily and Sports Activities, UCI Machine Learning Repository, "
    "2010, doi:10.24432/C5C59F; B. Barshan, M. C. Yuksek, Recognizing daily and sports activities "
    "in two open source machine learning environments using body-worn sensor units, The Computer "
    "Journal 57(11), 2014; K. Altun, B. Barshan, O. Tuncel, Pattern Recognition 43(10), 2010",
    convert=convert,
)
