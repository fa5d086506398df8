"""Where the buffers of one row lie: in the caller's arrays, or in one small scratch array.

slot      buffers that take one another's place: the result of a formula lies where an input
          lay that nobody reads afterwards
lifetime  from the node that first writes a slot to the last that reads it
offset    slots whose lifetimes overlap lie apart; the largest are placed first, each as low
          as there is room
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from ...plan.buffers import BATCH, Buffer
from ...plan.nodes import Map, Node, ScaleRows


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the first number of a buffer lies.

    Attributes
    ----------
    array : str
        A name: of an argument, a constant or the scratch array.
    offset : int
        In numbers.
    member : int
        Numbers from one member to the next; 0 if all members read the same.
    """

    array: str
    offset: int
    member: int


SCRATCH = "s"
"""The name of the scratch array."""


def size_of(buffer: Buffer) -> int:
    """How many numbers one row of it has; of what has no rows, all."""
    return math.prod(int(n) for n in buffer.axes if n != BATCH)


class Memory:
    """The places of all buffers that some nodes read and write.

    Parameters
    ----------
    nodes : sequence of Node
    names : mapping of Buffer to str
        Arrays of what is there before: given buffers and constants.
    results : mapping of Buffer to str
        Arrays that results are to be in. A view among them is copied there at last, see `copies`.

    Attributes
    ----------
    scratch : int
        Numbers in the scratch array.
    copies : list of (Buffer, str)
        Results that lie elsewhere, and the arrays to copy them to.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        names: Mapping[Buffer, str],
        results: Mapping[Buffer, str],
    ) -> None:
        self._homes = {buffer: (name, 0) for buffer, name in names.items()}
        first: dict[Buffer, int] = {}
        last: dict[Buffer, int] = {}
        for at, node in enumerate(nodes):
            for buffer in (*node.reads, *node.writes):
                if buffer.home not in names:
                    first.setdefault(buffer.home, at)
                    last[buffer.home] = at
        last |= {buffer.home: len(nodes) for buffer in results if buffer.home in last}
        slots: dict[Buffer, list[Buffer]] = {}
        for home in first:
            earlier = self._taken_over(nodes[first[home]], home, last, first[home], slots)
            slots[home] = slots[earlier] if earlier else []
            slots[home].append(home)
        self.scratch = 0
        placed: list[tuple[int, int, int, int]] = []
        distinct = {id(slot): slot for slot in slots.values()}.values()
        for slot in sorted(distinct, key=lambda slot: -size_of(slot[0])):
            begins, ends = first[slot[0]], last[slot[-1]]
            named = next((results[home] for home in slot if home in results), None)
            at, size = (0, size_of(slot[0]))
            if named is None:
                at = _room(placed, begins, ends, size)
                placed.append((begins, ends, at, at + size))
                self.scratch = max(self.scratch, at + size)
            self._homes |= dict.fromkeys(slot, (named or SCRATCH, at))
        self.copies = [(b, n) for b, n in results.items() if self.place(b).array != n]

    def _taken_over(
        self,
        node: Node,
        out: Buffer,
        last: Mapping[Buffer, int],
        now: int,
        slots: Mapping[Buffer, list[Buffer]],
    ) -> Buffer | None:
        """What ``out`` may overwrite: a whole input of the same shape that nobody reads again."""
        if not isinstance(node, (Map, ScaleRows)) or out not in node.writes:
            return None
        reads = dict.fromkeys(node.reads)
        for read in reads:
            slot = slots.get(read)
            alone = sum(other.home == read for other in reads) == 1
            if slot and alone and slot[-1] == read and last[read] == now and read.axes == out.axes:
                return read
        return None

    def place(self, buffer: Buffer) -> Place:
        """Where a buffer lies."""
        array, offset = self._homes[buffer.home]
        member = 0
        if buffer.base is not None:
            offset += buffer.first
            member = buffer.apart if buffer.members > 1 else 0
        else:
            inner = buffer.axes[1:] if buffer.by_batch else buffer.axes
            member = math.prod(int(n) for n in inner[1:]) if len(inner) > 1 else 0
            member = 0 if inner[:1] == (1,) else member
        return Place(array, offset, member)


def _room(placed: Sequence[tuple[int, int, int, int]], begins: int, ends: int, size: int) -> int:
    """The lowest offset at which nothing lies in the time from ``begins`` to ``ends``."""
    at = 0
    for b, e, low, high in sorted(placed, key=lambda slot: slot[2]):
        if b <= ends and begins <= e and low < at + size:
            at = max(at, high)
    return at
