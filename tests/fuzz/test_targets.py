"""What is given arbitrary bytes stands it: chosen by hypothesis, and by atheris where that is installed.

STORE_LONG=1 fuzzes for minutes (``tox -e fuzz``).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz import seeds
from tests.fuzz.targets import TARGETS, payloads

LONG = os.environ.get("STORE_LONG") == "1"
EXAMPLES = 20_000 if LONG else 150
SECONDS = 600 if LONG else 3
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(3600)

PIECES = {
    "requests": [b"*", b"$", b"\r\n", b"\n", b"\r", b"1", b"2", b"3", b"-1", b"0", b"PING", b'"', b"'", b"\\x4", b"\0"],
    "globs": [b"*", b"?", b"[", b"]", b"^", b"-", b"\\", b"a", b"b", b"\n", b"\xff"],
    "payloads": [b"\0", b"\x01", b"\x02", b"\x40", b"\x80", b"\x81", b"\xc0", b"\xc1", b"\xc2", b"\xc3", b"\xff",
                 b"\xf0", b"\xf1", b"\xf4", b"a", b"\x07\0\0\0\0\0\xff", bytes(8), b"\xff" * 8],
}  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, target: str) -> bytes:
    """What was right, with a few changes; or nothing but pieces."""
    pieces = st.sampled_from(PIECES[target]) | st.binary(max_size=4)
    if draw(st.integers(0, 5)) == 0:
        return b"".join(draw(st.lists(pieces, max_size=20)))
    data = bytearray(draw(st.sampled_from(seeds.of(target))))
    for _ in range(draw(st.integers(0, 4))):
        at, length = draw(st.integers(0, len(data))), draw(st.integers(0, 3))
        data[at : at + length] = draw(pieces)
    return bytes(data)


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_input_is_stood(target: str) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=not LONG,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged(target))
    def stand(data: bytes) -> None:
        TARGETS[target](data)

    stand()


@pytest.mark.parametrize("index", range(len(seeds.payloads())))
def test_every_byte_of_a_payload_may_be_wrong(index: int) -> None:
    whole = seeds.payloads()[index][:120]
    for at in range(len(whole)):
        for byte in (0, 1, 0x7F, 0x80, 0x81, 0xC3, 0xFF, whole[at] ^ 1, whole[at] ^ 0x40):
            payloads(whole[:at] + bytes((byte,)) + whole[at + 1 :])
        payloads(whole[:at])


@pytest.mark.parametrize("target", TARGETS)
def test_fuzzing_led_by_coverage_finds_nothing(target: str, tmp_path: Path) -> None:
    pytest.importorskip(
        "atheris", reason="atheris (extra of `tox -e fuzz`) is not installed, or has no wheel for this Python"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "tests.fuzz.harness", target, f"-max_total_time={SECONDS}", "-seed=1"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not list(tmp_path.glob("crash-*")), done.stderr[-3000:]
