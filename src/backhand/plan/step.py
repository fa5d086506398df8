"""The nodes of one step, in order, from the description of a network.

The planner walks the layers forward and then back; each writes its own nodes. Labels in a plan:
``x`` are the inputs, ``t`` the targets, ``weight`` the sample weights; ``w1``, ``b1`` the
parameters of the first linear layer, ``z1`` its result, ``y1`` what the layer behind it makes of
that, ``h1`` what dropout leaves; a ``d`` in front is the derivative of the loss by that buffer.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..formulas import losses
from ..formulas.optimisers import Optimiser
from .buffers import BATCH, Buffer, Role
from .description import Description
from .layers.layer import backward_all, forward_all
from .nodes import Clip, Gather, Node, NormaliseWeights, ScaleRows, Update
from .wiring import NO_FACTORS, Factors, Parameter, Result, Scalar, Wiring

PLANS_KEPT = 32
"""The number of networks whose plans are kept, since they are run again and again."""


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """The nodes of one step, and which of its buffers are what. A plan is equal to itself only.

    Attributes
    ----------
    description : Description
    nodes : tuple of Node
    parameters : tuple of Parameter
    scalars : tuple of Scalar
    results : tuple of Result
        What each layer gives.
    kinks : tuple of (Buffer, tuple of float)
        Where the gradient jumps: values of buffers.
    x, t, weight : Buffer
        Inputs, targets and sample weights; ``t`` and ``weight`` (N, 1) may be unread.
    logits : Buffer
    loss, dx : Buffer or None
    gradients : tuple of (Buffer, Buffer)
        Of each parameter with a gradient in this plan, both.
    """

    description: Description
    nodes: tuple[Node, ...]
    parameters: tuple[Parameter, ...]
    scalars: tuple[Scalar, ...]
    results: tuple[Result, ...]
    kinks: tuple[tuple[Buffer, tuple[float, ...]], ...]
    x: Buffer
    t: Buffer
    weight: Buffer
    logits: Buffer
    dlogits: Buffer | None = None
    loss: Buffer | None = None
    dx: Buffer | None = None
    gradients: tuple[tuple[Buffer, Buffer], ...] = ()

    def __str__(self) -> str:
        return self._text

    @functools.cached_property
    def _text(self) -> str:
        lines = [(str(node), node.writes[0].place_text) for node in self.nodes]
        wide = max((len(line) for line, _ in lines), default=0)
        return "\n".join(f"{line:<{wide}}  {shape}" for line, shape in lines)

    @functools.cached_property
    def buffers(self) -> dict[str, Buffer]:
        """Every buffer that a node reads or writes or a layer gives, by its label; bases, too."""
        found: dict[str, Buffer] = {}
        of_nodes = (b for node in self.nodes for b in (*node.reads, *node.writes))
        for buffer in (*of_nodes, *(b for result in self.results for b in result.buffers)):
            for one in (buffer.base, buffer):
                if one is not None and found.setdefault(one.name, one) != one:
                    raise InputError(f"two buffers are called {one.name}: {one} and another")
        return found


def plan_of_nodes(
    nodes: Sequence[Node],
    given: Sequence[Buffer],
    constants: Sequence[Buffer],
    result: Buffer,
    dtype: str,
) -> Plan:
    """A plan of nodes that are not those of a network, such as a stage of an exported model.

    Parameters
    ----------
    nodes : sequence of Node
    given : sequence of Buffer
        What they read that has a row for each of the batch: at least one. The first is x, and
        others are gathered.
    constants : sequence of Buffer
        What they read besides, in the place of parameters.
    result : Buffer
        In the place of logits.
    dtype : {"float32", "float64"}
        Of all numbers.
    """
    x, *others = given
    gathers = (Gather(f"all_{buffer.name}", buffer) for buffer in others)
    return Plan(
        Description((x.width, result.width), dtype=dtype),
        (*gathers, *nodes),
        tuple(Parameter(buffer, None) for buffer in constants),
        scalars=(),
        results=(),
        kinks=(),
        x=x,
        t=Buffer("t", (BATCH, 1), role=Role.TARGET),
        weight=Buffer("weight", (BATCH, 1), role=Role.WEIGHT),
        logits=result,
    )


class _Planner:
    """Walks the layers of a network and collects the parts of a plan."""

    def __init__(
        self,
        description: Description,
        *,
        training: bool = False,
        wrt_input: bool = False,
        scheduled: Sequence[str] = (),
    ) -> None:
        self.description, self.scheduled = description, scheduled
        self.wire = Wiring(training=training, wrt_input=wrt_input)
        loss = description.loss
        self.x = self.wire.reserved("x", (BATCH, description.inputs), Role.INPUT)
        outputs = 1 if loss.by_row else description.outputs
        kind = "index" if loss.by_row else "real"
        self.t = self.wire.reserved("t", (BATCH, outputs), Role.TARGET, kind)
        self.weight = self.wire.reserved("weight", (BATCH, 1), Role.WEIGHT)
        self.z, self._tape = forward_all(self.wire, description.layers, self.x)
        self.dz: Buffer | None = None
        self.loss: Buffer | None = None
        self.dx: Buffer | None = None

    def without_forward(self) -> None:
        """Leave the forward nodes out: the logits are given."""
        self.wire.nodes.clear()

    def add_loss(self, *, value: bool = True, gradient: bool = True) -> None:
        """From the logits to the loss, and to the gradient there."""
        wire, loss, z = self.wire, self.description.loss, self.z
        constants = tuple(p for p in loss.parameters if p[0] not in self.scheduled)
        scalars = tuple(
            (name, wire.scalar(name, name, value, float, "real"))
            for name, value in loss.parameters
            if name in self.scheduled
        )
        outputs = z.width if loss.outputs == "mean" and not loss.by_row else 1
        share: Buffer = wire.reserved("share", (BATCH, 1))
        wire.add(NormaliseWeights(losses.share, self.weight, outputs * z.members, share))
        t = self.t
        if len(z.axes) == 3:  # each member has the same target and weight
            t = t.view(wire.label("t_all"), 0, t.width, 1)
            share = share.view(wire.label("share_all"), 0, 1, 1)
        if value:
            wide = 1 if loss.by_row else z.width
            out = wire.reserved("value", (*z.axes[:-1], wide))
            wire.maps(loss.value, (z, t), (out,), constants, scalars)
            self.loss = wire.reserved("loss", ())
            wire.add(ScaleRows(losses.total, out, share, self.loss))
        if gradient:
            grad = wire.reserved("grad", z.axes)
            wire.maps(loss.grad, (z, t), (grad,), constants, scalars)
            wire.add(ScaleRows(losses.share_vjp, grad, share, self.logits_gradient()))

    def logits_gradient(self) -> Buffer:
        """The buffer of the gradient at the logits."""
        if self.dz is None:
            self.dz = self.wire.buffer(f"d{self.z.name}", self.z.axes)
        return self.dz

    def add_backward(self) -> None:
        """From the gradient at the logits back to every parameter, and to x if that is wanted."""
        wire, layers = self.wire, self.description.layers
        self.dx = backward_all(wire, layers, self._tape, self.logits_gradient())
        for parameter in wire.parameters:
            if parameter.learned and parameter.buffer not in wire.gradients:
                raise InputError(
                    f"{parameter.buffer} has no gradient: a layer's backward pass must give one"
                )

    def plan(self, before: Sequence[Node] = ()) -> Plan:
        """The finished plan."""
        wire = self.wire
        return Plan(
            self.description,
            (*before, *wire.placed(tuple(wire.nodes))),
            tuple(wire.parameters),
            tuple(wire.scalars),
            wire.placed(tuple(wire.results)),
            wire.placed(tuple(wire.kinks)),
            self.x,
            self.t,
            self.weight,
            self.z,
            self.dz,
            self.loss,
            self.dx,
            tuple(wire.gradients.items()),
        )


@functools.lru_cache(maxsize=PLANS_KEPT)
def forward_plan(description: Description, *, dropout: bool = False) -> Plan:
    """From ``x`` to the logits. Dropout is only for training."""
    return _Planner(description, training=dropout).plan()


def loss_plan(description: Description, *, dropout: bool = False) -> Plan:
    """From ``x``, ``t`` and ``weight`` to ``loss``, without gradients."""
    planner = _Planner(description, training=dropout)
    planner.add_loss(gradient=False)
    return planner.plan()


@functools.lru_cache(maxsize=PLANS_KEPT)
def logits_loss_plan(description: Description) -> Plan:
    """From the logits, ``t`` and ``weight`` to ``loss``."""
    planner = _Planner(description)
    planner.without_forward()
    planner.add_loss(gradient=False)
    return planner.plan()


@functools.lru_cache(maxsize=PLANS_KEPT)
def logits_gradient_plan(description: Description) -> Plan:
    """From the logits, ``t`` and ``weight`` to the gradient at the logits."""
    planner = _Planner(description)
    planner.without_forward()
    planner.add_loss(value=False)
    return planner.plan()


@functools.lru_cache(maxsize=PLANS_KEPT)
def propagation_plan(description: Description) -> Plan:
    """From ``x`` to the logits, and from the gradient there back to ``dx``: no parameter's."""
    planner = _Planner(description, wrt_input=True)
    planner.add_backward()
    plan = planner.plan()
    of_results = (buffer for result in plan.results for buffer in result.buffers)
    nodes = _needed(plan.nodes, {plan.logits, *of_results, *filter(None, [plan.dx])})
    return dataclasses.replace(plan, nodes=nodes, gradients=())


def _needed(nodes: Sequence[Node], wanted: set[Buffer]) -> tuple[Node, ...]:
    """The nodes without which some buffers would not be there."""
    found: list[Node] = []
    bases = {buffer.home for buffer in wanted}
    for node in reversed(nodes):
        if any(out.home in bases for out in node.writes):
            found.append(node)
            bases.update(buffer.home for buffer in node.reads)
    return tuple(reversed(found))


@functools.lru_cache(maxsize=PLANS_KEPT)
def gradient_plan(
    description: Description, *, dropout: bool = False, wrt_input: bool = False
) -> Plan:
    """From ``x``, ``t`` and ``weight`` to ``loss`` and the gradient of every parameter (and x)."""
    planner = _Planner(description, training=dropout, wrt_input=wrt_input)
    planner.add_loss()
    planner.add_backward()
    return planner.plan()


def groups_of(description: Description) -> tuple[Factors, ...]:
    """The groups of parameters by their factors; the first is (1, 1), whoever is in it.

    Run-time scalars exist once for each group, so factors cause no compilation.
    """
    factors = (parameter.factors for parameter in description.parameters if parameter.learned)
    return tuple(dict.fromkeys((NO_FACTORS, *factors)))


@functools.lru_cache(maxsize=PLANS_KEPT)
def training_plan(
    description: Description,
    optimiser: Optimiser,
    *,
    sparse: bool = False,
    scheduled: Sequence[str] = (),
) -> Plan:
    """A whole training step: gather the batch (of sparse rows), forward, loss, backward, update.

    ``scheduled`` are parameters of the loss, such as "label_smoothing", that follow a schedule.
    Raises InputError if the optimiser clips at a length that the network's dtype does not hold: a
    limit that became 0 would let training stand still.
    """
    real = description.dtype
    least, most = float(np.finfo(real).tiny), float(np.finfo(real).max)
    if optimiser.clips and not least <= optimiser.clip_norm <= most:
        raise InputError(
            f"clip_norm={optimiser.clip_norm:g} is beyond what {real} holds, {least:.2g} to "
            f"{most:.2g}: take one between them"
        )
    planner = _Planner(description, training=True, scheduled=scheduled)
    planner.add_loss()
    planner.add_backward()
    wire = planner.wire
    of = {p.buffer: p for p in wire.parameters}
    learned = [(of[buffer], gradient) for buffer, gradient in wire.gradients.items()]
    if optimiser.clips:
        clip = wire.reserved("clip", (), Role.SCALAR)
        pairs = tuple((g, p.buffer if p.penalised else None) for p, g in learned)
        wire.nodes.append(Clip(pairs, clip))
    groups = groups_of(description)
    for p, gradient in learned:
        state = tuple(
            wire.buffer(f"{name}_{p.buffer.name}", p.buffer.axes, Role.STATE)
            for name in optimiser.state
        )
        group = groups.index(p.factors)
        wire.nodes.append(Update(optimiser, p.buffer, gradient, state, p.penalised, group))
    return planner.plan(
        [
            Gather("all_x", planner.x, sparse),
            Gather("all_t", planner.t),
            Gather("all_weight", planner.weight),
        ]
    )
