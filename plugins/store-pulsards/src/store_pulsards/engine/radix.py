"""The size of the radix tree that Valkey would keep: XINFO STREAM tells it, so it has to be known.

Keys have the same length. A node of the tree is a key's end, a place where keys part, or a run of bytes (one or more)
that those below it share. The tree itself is never built: what neighbours have in common tells where keys part.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def count_nodes(keys: Sequence[int], width: int) -> int:
    """How many nodes there are.

    Args:
        keys: Different numbers, in order.
        width: Bytes of a key.
    """
    if not keys:
        return 1
    shared = [width - ((one ^ other).bit_length() + 7) // 8 for one, other in pairwise(keys)]
    nodes = 0
    before = -1
    open_depths: list[int] = []  # where keys part, on the way to the last key
    for depth in (*shared, -1):
        nodes += 1 + (width - max(before, depth) > 1)  # the key's end, and a run of bytes that leads to it
        while open_depths and open_depths[-1] > depth:
            parting = open_depths.pop()
            above = max(depth, open_depths[-1] if open_depths else -1)
            nodes += 1 + (parting - above > 1)
        if depth >= 0 and (not open_depths or open_depths[-1] < depth):
            open_depths.append(depth)
        before = depth
    return nodes
