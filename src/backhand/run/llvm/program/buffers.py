"""The layout of a program's memory: the entries of its table, and where numbers lie in buffers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from ....errors import InputError
from ....plan.buffers import Buffer, Role
from ....plan.nodes import Gather
from .. import tuning
from ..ir.padding import PAD, padded, padded_columns
from .kernel_plan import Fused, KernelPlan, RowMap, Sum

WORD = np.dtype(np.int64)
LINE_WORDS = tuning.CACHE_LINE // WORD.itemsize
DTYPES = {"index": np.dtype(np.int32), "word": np.dtype(np.uint32)}


@dataclasses.dataclass(frozen=True)
class Slot:
    """What a program expects behind an address of its table.

    Attributes
    ----------
    dtype : dtype
        Native, of exactly this kind.
    shape : tuple of int or None
        None: any number, which stands elsewhere in the table.
    strided : bool
        Whether rows may lie at any distance, which stands in the table too. Otherwise the array
        is in C order; the elements of a row always lie side by side.
    """

    dtype: np.dtype
    shape: tuple[int | None, ...]
    strided: bool = False


Slots = dict[str, Slot | None]
"""The entries of a table by name, in order; None is a number."""


def control_slots(real: np.dtype, scalars: int, words: int) -> Slots:
    """The first entries of a program's table; sources, strides and buffers follow."""
    return {
        "rows": None,  # of the whole run
        "batch": None,  # rows of a batch
        "first": None,  # the first batch to run, and one past the last
        "last": None,
        "threads": None,
        "step": None,  # number of the first batch's step, for noise
        "seed": None,
        "order": Slot(WORD, (None,)),  # a row of the source for each row; null: in its order
        "scalars": Slot(real, (None, scalars)),  # of each batch, that of `first` first
        "words": Slot(DTYPES["word"], (None, words)),  # likewise, those that are words
        "barrier": Slot(
            WORD, (LINE_WORDS,)
        ),  # 0 at first: arrivals at barriers; has thread 0 begun?
        "split_k.done": Slot(WORD, (None, LINE_WORDS)),  # 0 at first: blocks handed on by a thread
        "stop": Slot(WORD, (LINE_WORDS,)),  # whether to leave the batch, and whether it was left
        "results": Slot(np.dtype(np.float64), (8,)),  # sum of loss * weight, sum of weights
        "zeros": Slot(real, (None,)),  # a row of zeros, as wide as the widest product
        "x.ld": None,  # row stride of x, in elements: it may be the caller's array itself
        "x.advance": None,  # elements from one row of the run to the next in x; 0 if gathered
        "x.per_thread": None,  # elements from one thread's x to the next's; 0 if they share one
        "x.split_k": None,  # whether each thread's x has its own inputs of all rows, not whole rows
    }


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the rows of a buffer lie, in elements.

    Attributes
    ----------
    name : str
        Of the entry in the table.
    first : int
        From there to the first number.
    row : int
        From one row of the batch to the next; 0 if it is the same for all.
    member : int
        From one member to the next; 0 if members share it.
    """

    name: str
    first: int
    row: int
    member: int

    def is_even(self, members: int) -> bool:
        """Whether the rows of all members lie at one distance, as if they were rows alone."""
        return members == 1 or self.row == members * self.member


class Layout:
    """Where the buffers of a kernel plan lie.

    Parameters
    ----------
    kernel_plan : KernelPlan
    panel : int
        Columns of a panel; see `packed`. 0: nothing lies in panels.

    Attributes
    ----------
    batched : dict of str to (int, dtype)
        Buffers with a row for each row of a batch: the row stride, and the dtype.
    static : dict of str to (int, int)
        Padded shapes of parameters, their gradients, state and transposed copies.
    packed : tuple of str
        Those of them that lie panel by panel.
    exact : dict of str to tuple of int
        Shapes of parameters, state and gradients without padding.
    read_beyond : set of str
        Batched buffers of which columns are read in whole vectors that may end behind a row.
    """

    def __init__(self, kernel_plan: KernelPlan, panel: int = 0) -> None:
        self.kernel_plan, self.panel = kernel_plan, panel
        self.real = np.dtype(kernel_plan.plan.description.dtype)
        self.packed = _packed(kernel_plan, panel) if panel else ()
        self.batched: dict[str, tuple[int, np.dtype]] = {}
        self.static: dict[str, tuple[int, int]] = {}
        self.exact: dict[str, tuple[int, ...]] = {}
        self.read_beyond: set[str] = set()
        self._lay_out_rows()
        self._lay_out_parameters()

    def _lay_out_rows(self) -> None:
        kernel_plan = self.kernel_plan
        x = kernel_plan.plan.x
        written = [x] if any(b.home == x for n in kernel_plan.plan.nodes for b in n.reads) else []
        written += [gather.out for gather in kernel_plan.gathers]
        for kernel in kernel_plan.kernels:
            written += kernel.stored if isinstance(kernel, (Fused, RowMap)) else kernel.writes
        for buffer in (each.home for each in written):
            self.batched[buffer.name] = self._row_stride(buffer), DTYPES.get(buffer.kind, self.real)
        for node in kernel_plan.plan.nodes:
            views = (buffer for buffer in node.reads if buffer.base is not None)
            self.read_beyond.update(view.home.name for view in views)

    def _lay_out_parameters(self) -> None:
        kernel_plan = self.kernel_plan
        for parameter in kernel_plan.plan.parameters:
            self._add(parameter.buffer)
        for buffer in kernel_plan.transposed:
            *others, d, k = self.exact[buffer.name]
            stride = padded(d, self.real.itemsize)
            self.static[transposed(buffer)] = math.prod(others) * k, stride
        for each in kernel_plan.sums:
            if self._is_stored(each):
                self._add(each.node.out)
            for buffer in each.update.state if each.update else ():
                self._add(buffer)
        if self.packed:
            inputs, panels = self.inputs, -(-self.columns // self.panel)
            self.static |= dict.fromkeys(self.packed, (panels * inputs, self.panel))

    def _add(self, buffer: Buffer) -> None:
        shape = self.exact[buffer.name] = tuple(int(length) for length in buffer.axes)
        stride = padded(buffer.width, self.real.itemsize)
        self.static[buffer.name] = math.prod(shape[:-1]), stride

    def _is_stored(self, each: Sum) -> bool:
        """Whether what a sum gives is stored, and not only used in an update."""
        sparse = (
            self.kernel_plan.sparse and getattr(each.node, "left", None) == self.kernel_plan.plan.x
        )
        return sparse or each.in_memory or not each.update or self.kernel_plan.clip is not None

    def _row_stride(self, buffer: Buffer) -> int:
        if self.kernel_plan.is_narrow(buffer):
            return self._narrow_members(buffer)
        return buffer.members * padded(buffer.width, self.real.itemsize)

    def _narrow_members(self, buffer: Buffer) -> int:
        """Numbers for each row: the loss has one for each member."""
        return self.kernel_plan.plan.logits.members if buffer == self.kernel_plan.plan.loss else 1

    @property
    def inputs(self) -> int:
        """Columns of x."""
        return self.kernel_plan.plan.x.width

    @property
    def columns(self) -> int:
        """Columns of the first layer; see `KernelPlan.first`. 0 if there is none."""
        return self.kernel_plan.first.width if self.kernel_plan.first else 0

    @property
    def panel_stride(self) -> int:
        """Elements from one panel of columns to the next, in what lies in panels."""
        return self.panel * self.inputs

    @property
    def can_split_k(self) -> bool:
        """Whether threads may own inputs of the first layer; see `split_k`."""
        kernel_plan = self.kernel_plan
        first = kernel_plan.first
        if first is None or kernel_plan.first_update is None or kernel_plan.sparse or self.packed:
            return False
        whole = bool(first.stored) and first.stored[0].base is None  # sums wait there
        return whole and self.inputs >= tuning.SPLIT_K_INPUTS_PER_UNIT * self.columns

    def stride(self, buffer: Buffer) -> int:
        """From one row of a buffer without rows of a batch to the next."""
        return self.static[buffer.name][1]

    def place(self, buffer: Buffer) -> Place:
        """Where the rows of a buffer lie, or the vectors (K,) or (M, K) that go with rows."""
        whole = buffer.home
        if buffer == self.kernel_plan.plan.loss:
            members = self._narrow_members(buffer)
            return Place(buffer.name, 0, members, int(members > 1))
        if not buffer.by_batch:
            member = self.stride(buffer) if len(buffer.axes) == 2 else 0
            return Place(buffer.name, 0, 0, member)
        row, _ = self.batched[whole.name]
        apart = buffer.apart if buffer.base else padded(buffer.width, self.real.itemsize)
        return Place(whole.name, buffer.first, row, apart if buffer.members > 1 else 0)

    def matrix(self, buffer: Buffer, is_transposed: bool = False) -> Place:
        """Where the matrices (D, K) or (M, D, K) of a product lie, as vectors of their rows."""
        name = transposed(buffer) if is_transposed else buffer.name
        rows, stride = self.static[name]
        own = len(buffer.axes) == 3
        return Place(name, 0, stride, rows // int(buffer.axes[0]) * stride if own else 0)

    def slots(self, sources: Mapping[str, np.dtype]) -> Slots:
        """The entries of a program's table, in order, and what it expects behind each address.

        Parameters
        ----------
        sources : mapping of str to dtype
            Of the arrays that it gathers from.

        Raises
        ------
        InputError
            If targets are class indices and their dtype is none of whole numbers, or if a buffer
            has the name of another entry.
        """
        kernel_plan = self.kernel_plan
        scalars, words = (max(1, len(names)) for names in (kernel_plan.reals, kernel_plan.words))
        slots = control_slots(self.real, scalars, words)
        gathers = {gather.source: gather for gather in kernel_plan.gathers}
        for name, dtype in sources.items():
            gather = gathers.get(name)
            flat = gather is None or gather.sparse
            slots[name] = (
                Slot(dtype, (None,)) if flat else Slot(dtype, (None, columns(gather)), True)
            )
            slots[f"{name}.stride"] = None
            if gather and gather.out.kind == "index" and dtype.kind not in "iu":
                loss = kernel_plan.plan.description.loss.name
                raise InputError(
                    f"t has dtype {dtype}: {loss!r} takes class indices, whole numbers"
                )
        for buffer in kernel_plan.copied_out:
            slots[f"out.{buffer.name}"] = Slot(self.real, (None, buffer.members * buffer.width))
        buffers = self.buffer_slots()
        taken = [name for name in buffers if name in slots]
        if taken:
            raise InputError(f"a buffer of a layer may not be called {taken[0]!r}: it is taken")
        return slots | buffers

    def buffer_slots(self) -> Slots:
        """What a program expects of the buffers that it stores itself, padding included."""
        slots: Slots = {}
        for name, (stride, dtype) in self.batched.items():
            slots[name] = Slot(dtype, (None, stride))
        for name, shape in self.static.items():
            slots[name] = Slot(self.real, shape)
        x = self.kernel_plan.plan.x.name
        if x in slots:  # rows of another length may take its place: see "x.ld"
            slots[x] = Slot(self.real, (None, None), True)
        return slots


def transposed(buffer: Buffer) -> str:
    """The name of a parameter's transposed copy."""
    return f"{buffer.name}.T"


def columns(gather: Gather | None) -> int:
    """The columns of the caller's array that a gather reads."""
    assert gather is not None
    return gather.out.members * gather.out.width


def _packed(kernel_plan: KernelPlan, panel: int) -> tuple[str, ...]:
    """Buffers that lie panel by panel: first-layer weights that are updated, and their state.

    The ``panel`` columns of a panel are a stretch of memory of their own, so that a thread's
    columns share no stretch with another's, from which the processor would fetch ahead. Weights
    that would grow by more than a quarter, or have a single panel, stay row by row, as do those of
    a sparse x.
    """
    first, update = kernel_plan.first, kernel_plan.first_update
    if first is None or update is None or kernel_plan.sparse or kernel_plan.clip:
        return ()
    width, weights = first.width, first.product.right
    padding = -width % panel
    unfit = weights in kernel_plan.transposed or weights.role is not Role.PARAMETER
    if unfit or width <= panel or padding > tuning.PANEL_PADDING * width:
        return ()
    return (weights.name, *(buffer.name for buffer in update.state))


def inputs_of_a_thread(inputs: int, threads: int) -> int:
    """The most inputs that a thread has in split-k: whole vectors of any processor."""
    vectors = padded_columns(inputs) // PAD
    return -(-vectors // threads) * PAD
