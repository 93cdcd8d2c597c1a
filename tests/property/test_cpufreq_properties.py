from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from sentryfuse.energy.cpufreq import open_cpufreq
from tests.fake_sysfs import FakeSysfs

ranges = st.tuples(st.integers(1, 5_000_000), st.integers(0, 5_000_000), st.floats(0, 1))


@settings(max_examples=50, deadline=None)
@given(policies=st.lists(ranges, min_size=1, max_size=4), shares=st.lists(st.floats(0, 1)))
def test_whatever_was_capped_is_put_back_to_the_byte_and_never_left_its_range(
    policies: list[tuple[int, int, float]], shares: list[float]
) -> None:
    with tempfile.TemporaryDirectory() as root:
        sysfs = FakeSysfs(Path(root))
        files = []
        for number, (least, width, share) in enumerate(policies):
            folder = f"devices/system/cpu/cpufreq/policy{number}"
            sysfs.write(f"{folder}/cpuinfo_min_freq", least)
            sysfs.write(f"{folder}/cpuinfo_max_freq", least + width)
            found = least + round(width * share)
            files.append((sysfs.write(f"{folder}/scaling_max_freq", found), least, found))
        before = [file.read_bytes() for file, _, _ in files]
        cap = open_cpufreq(sysfs.root)
        for share in shares:
            assert cap.set_share(share)
            assert all(least <= int(file.read_text()) <= found for file, least, found in files)
        cap.close()
        assert [file.read_bytes() for file, _, _ in files] == before
