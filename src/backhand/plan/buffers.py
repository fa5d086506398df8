"""The buffer table of a plan: what each array is, and how its axes lie.

A buffer's name is a label for people: no code reads a meaning out of it. What it is for stands in
its role, and its shape in its axes.
"""

from __future__ import annotations

import dataclasses
import enum

from ..errors import InputError

BATCH = "N"
"""The axis of the batch's rows, whose length differs from step to step."""

Axes = tuple[int | str, ...]
"""The axes of a buffer, in order: `BATCH` or a number."""


class Role(enum.Enum):
    """What a buffer is for."""

    INPUT = "input"
    TARGET = "target"
    WEIGHT = "sample weight"
    PARAMETER = "parameter"
    CONSTANT = "constant"  # stored with the parameters, and never updated
    GRADIENT = "gradient"
    STATE = "optimiser state"
    ACTIVATION = "activation"
    SCALAR = "per-step scalar"


@dataclasses.dataclass(frozen=True)
class Buffer:
    """One array of a plan, or a range of columns of another.

    Attributes
    ----------
    name : str
        A label, unique in its plan.
    axes : tuple
        Such as (N, K), (N, 1), (D, K), (K,) and (). Of three axes (N, M, K) the middle one counts
        members: M rows of K numbers that belong to one row of the batch.
    kind : {"real", "index", "word"}
        The network's dtype; int32; or a 32-bit word without sign.
    role : Role
    base : Buffer, optional
        The (N, K) buffer of which this is a view.
    first : int
        The column of the base with which the view begins.
    apart : int
        Columns of the base from one member of the view to the next.
    """

    name: str
    axes: Axes
    kind: str = "real"
    role: Role = Role.ACTIVATION
    base: Buffer | None = None
    first: int = 0
    apart: int = 0

    @property
    def home(self) -> Buffer:
        """The buffer whose memory it is: its own, or that of its base."""
        return self.base or self

    @property
    def width(self) -> int:
        """The length of the last axis; 1 without axes."""
        last = self.axes[-1] if self.axes else 1
        assert isinstance(last, int)
        return last

    @property
    def members(self) -> int:
        """M: how many rows of this buffer belong to one row of the batch."""
        middle = self.axes[1] if len(self.axes) == 3 else 1
        assert isinstance(middle, int)
        return middle

    @property
    def by_batch(self) -> bool:
        """Whether it has a row for each row of the batch."""
        return self.axes[:1] == (BATCH,)

    @property
    def shape_text(self) -> str:
        """The axes, as messages show them."""
        return shape_text(self.axes)

    @property
    def place_text(self) -> str:
        """The axes and, of a view, where it lies: (N, 3) joined1[8:11]."""
        if self.base is None:
            return self.shape_text
        start, end = self.first, self.first + self.width
        if self.apart == self.width:
            end = start + self.members * self.width
        every = f" of every {self.apart}" * (self.members > 1 and self.apart > self.width)
        return f"{self.shape_text} {self.base.name}[{start}:{end}{every}]"

    def view(
        self,
        name: str,
        first: int,
        width: int,
        members: int | None = None,
        apart: int | None = None,
    ) -> Buffer:
        """Columns of an (N, K) buffer, which are copied nowhere.

        Parameters
        ----------
        name : str
        first, width : int
            The view has the ``width`` columns from ``first`` on.
        members : int, optional
            M: the view is (N, M, width), and not (N, width).
        apart : int, optional
            From a member's first column to the next one's; by default they lie side by side.

        Raises
        ------
        InputError
            If there are no such columns.
        """
        count = 1 if members is None else members
        apart = width if apart is None else apart
        last = first + (count - 1) * apart + width
        if len(self.axes) != 2 or not self.by_batch:
            raise InputError(f"{name} would be columns of {self}: only (N, K) has such views")
        if min(first, width - 1, count - 1, apart - width) < 0 or last > self.width:
            raise InputError(
                f"{name} would be {count} times {width} columns of {self}, from {first} to {last}"
            )
        axes: Axes = (BATCH, width) if members is None else (BATCH, members, width)
        base, start = (self, 0) if self.base is None else (self.base, self.first)
        return Buffer(name, axes, self.kind, self.role, base, start + first, apart)

    @property
    def base_columns(self) -> list[int]:
        """For a view: the columns of its base, member after member."""
        starts = (self.first + member * self.apart for member in range(self.members))
        return [start + column for start in starts for column in range(self.width)]

    def __str__(self) -> str:
        return f"{self.name} {self.shape_text}"


def shape_text(axes: Axes) -> str:
    """Axes as messages show them: (N, 50), (50,), ()."""
    return f"({', '.join(map(str, axes))}{',' * (len(axes) == 1)})"


def broadcast(buffers: list[Buffer], what: str) -> Axes:
    """The axes that all buffers have in common, by NumPy's rule: 1 goes with any length.

    Raises
    ------
    InputError
        If two do not go together; the message names both.
    """
    axes: list[int | str] = []
    widest: list[Buffer | None] = []
    for buffer in buffers:
        given = buffer.axes
        missing = len(given) - len(axes)
        axes = [*([1] * missing), *axes]
        widest = [*([None] * missing), *widest]
        for place, length in enumerate(given, len(axes) - len(given)):
            if length in (1, axes[place]):
                continue
            if axes[place] != 1:
                raise InputError(f"{what}: {widest[place]} and {buffer} do not go together")
            axes[place], widest[place] = length, buffer
    return tuple(axes)
