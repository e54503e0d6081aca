"""CRC-64 with Jones's polynomial, bits reflected: the checksum of Redis's files and payloads.

Eight bytes at a time (slicing by eight): table ``n`` has what a byte does that is ``n`` bytes before the end.
"""

from __future__ import annotations

from struct import iter_unpack
from typing import Final

POLYNOMIAL: Final = 0x95AC9329AC4BC9B5  # 0xAD93D23594C935A9, reflected


def _first_table() -> list[int]:
    table: list[int] = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return table


def _next_table(first: list[int], table: list[int]) -> list[int]:
    return [crc >> 8 ^ first[crc & 255] for crc in table]


T0: Final = _first_table()
T1: Final = _next_table(T0, T0)
T2: Final = _next_table(T0, T1)
T3: Final = _next_table(T0, T2)
T4: Final = _next_table(T0, T3)
T5: Final = _next_table(T0, T4)
T6: Final = _next_table(T0, T5)
T7: Final = _next_table(T0, T6)


def crc64(data: bytes, crc: int = 0) -> int:
    """The checksum; ``crc`` goes on from that of what came before."""
    whole = len(data) & ~7
    for (word,) in iter_unpack("<Q", memoryview(data)[:whole]):
        crc ^= word
        crc = (
            T7[crc & 255]
            ^ T6[crc >> 8 & 255]
            ^ T5[crc >> 16 & 255]
            ^ T4[crc >> 24 & 255]
            ^ T3[crc >> 32 & 255]
            ^ T2[crc >> 40 & 255]
            ^ T1[crc >> 48 & 255]
            ^ T0[crc >> 56]
        )
    for byte in data[whole:]:
        crc = crc >> 8 ^ T0[(crc ^ byte) & 255]
    return crc
