"""`Walk`: everything that the page shows, as data; with the page itself."""

from __future__ import annotations

import dataclasses
import functools
import html as texts
import os
import time
from collections.abc import Iterator
from importlib import resources
from typing import Any

import numpy as np

from ... import __version__
from ...errors import InputError
from ...export.javascript.files import js_text
from ...export.program import Program
from ...files import write_whole
from ...network import Network, Params
from ..page.html import embedded, static
from ..page.report import FRAME
from .parameters import (
    ACTIVATIONS,
    SCHEMES,
    activation_of,
    drawn,
    packed,
    with_activation,
)
from .plans import plan_data
from .subjects import Part, Subject, cells_of

Array = Any

MOST_BYTES = 2_900_000
"""Of a page. What does not fit (other activations, drawn parameters, further networks) is left."""

SCRIPTS = ("rows", "drawing", "tour")
"""Modules of the page, in ``static/``, beside `walk.js`, which imports them."""

DRAW_ROWS = 2048
"""Rows that data-driven initialisers see, at most."""


@dataclasses.dataclass(frozen=True)
class Walk:
    """A page in which one walks through a network. A notebook shows it.

    Attributes
    ----------
    data : dict
        What the page shows, JSON-able.
    modules : dict of str to str
        Generated JavaScript, by the name by which ``data`` calls it.
    """

    data: dict[str, Any]
    modules: dict[str, str]

    @functools.cached_property
    def html(self) -> str:
        """The page: one HTML document that loads nothing from anywhere."""
        import jinja2
        import markupsafe

        made = jinja2.Environment(
            autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
        )
        modules = {**{name: _static(f"{name}.js") for name in SCRIPTS}, **self.modules}
        for name, text in modules.items():
            if "</script" in text.lower() or "<!--" in text:
                raise InputError(f"module {name} cannot stand in a page: it has '</script' in it")
        page: str = made.from_string(_static("walk.html.jinja")).render(
            data=self.data,
            json=markupsafe.Markup(embedded(self.data)),
            style=markupsafe.Markup(static("report.css") + _static("walk.css")),
            modules={name: markupsafe.Markup(text) for name, text in modules.items()},
            script=markupsafe.Markup(_static("walk.js")),
        )
        return page

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page, whole or not at all. Raises InputError if it cannot be written."""
        write_whole(path, self.html.encode())

    def __repr__(self) -> str:
        return f"<Walk: {self.data['title']}; save(path) writes it as HTML>"

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that its style stays there."""
        inner = texts.escape(self.html, quote=True)
        return f'<iframe srcdoc="{inner}" style="{FRAME}" title="walk"></iframe>'


@functools.cache
def _static(name: str) -> str:
    return (resources.files(__package__) / "static" / name).read_text("utf-8")


def walk_of(subject: Subject) -> Walk:
    """The page of a model and rows.

    Raises
    ------
    InputError
        If the first network alone has too many parameters for a page.
    """
    first = subject.parts[0]
    program = first.program(first.network, first.params)
    x = subject.prepared(program)
    data: dict[str, Any] = {
        "title": subject.title,
        "target": subject.target,
        "labels": subject.labels,
        "image": subject.image,
        "columns": [dataclasses.asdict(column) for column in program.columns],
        "features": [*program.feature_names] or [f"x{i}" for i in range(program.inputs)],
        "rows": cells_of(program, subject.values),
        "numbers": subject.numbers.tolist(),
        "actual": None if subject.actual is None else subject.actual.tolist(),
        "rowsInAll": subject.rows_in_all,
        "schemes": SCHEMES,
        "version": __version__,
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "networks": [],
    }
    modules: dict[str, str] = {}
    left = MOST_BYTES - len(embedded(data)) - sum(len(_static(f"{name}.js")) for name in SCRIPTS)
    left -= len(_static("walk.js")) + len(static("report.css")) + len(_static("walk.css")) + 20_000
    for number, part in enumerate(subject.parts):
        entry, text = _part(part, x, number)
        needed = len(embedded(entry)) + len(text)
        if needed > left:
            if number:
                break
            raise InputError(
                f"the network has {part.network.n_parameters:,} parameters: a page with all of "
                f"them would have more than {MOST_BYTES / 1e6:.1f} MB"
            )
        left -= needed
        data["networks"].append(entry)
        modules[entry["plans"][entry["own"]]["module"]] = text
        for place, more, module in _options(part, x, number, entry):
            size = len(embedded(more)) + sum(map(len, module.values()))
            if size <= left:
                left -= size
                entry[place] |= more
                modules |= module
    return Walk(data, modules)


def _part(part: Part, x: Array, number: int) -> tuple[dict[str, Any], str]:
    """A network as it was learned, and its module."""
    activation = activation_of(part.network)
    own = "own" if activation is None else activation.name
    entry = {
        "name": part.name,
        "summary": part.network.summary,
        "loss": part.network.loss.spec,
        "own": own,
        "t": np.asarray(part.t).reshape(len(x), -1).tolist(),
        "params": {"learned": {name: packed(a) for name, a in part.params.items()}},
        "plans": {own: _plan(part, part.network, x, f"network-{number}-{own}")},
    }
    return entry, _module(part, part.network)


def _plan(part: Part, network: Network, x: Array, name: str) -> dict[str, Any]:
    return {"module": name, **plan_data(network, part.params, x, part.t)}


def _module(part: Part, network: Network) -> str:
    """The module; the page fills in the parameters."""
    zeros = {name: np.zeros(shape) for name, shape in network.shapes.items()}
    program: Program = part.program(network, zeros)
    return js_text(program, nodes=True)


def _options(
    part: Part, x: Array, number: int, entry: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any], dict[str, str]]]:
    """What a page may have besides: drawn parameters, and other activations."""
    base: Params = {}
    for scheme in SCHEMES:
        params = drawn(part.network, scheme, x[:DRAW_ROWS])
        if base and all((a == base[name]).all() for name, a in params.items()):
            continue  # layers that draw their own parameters
        found = {name: _drawn_text(a, base.get(name)) for name, a in params.items()}
        yield "params", {scheme: found}, {}
        base = base or (params if scheme in entry["params"] else {})
    if activation_of(part.network) is None:
        return
    for name in ACTIVATIONS:
        if name != entry["own"]:
            network = with_activation(part.network, name)
            module = f"network-{number}-{name}"
            plan = _plan(part, network, x, module)
            yield "plans", {name: plan}, {module: _module(part, network)}


def _drawn_text(a: Array, base: Array | None) -> Any:
    """A parameter that is drawn; as a factor, where it is that much of the first scheme's."""
    if base is not None and base.any():
        factor = float(np.abs(a).sum() / np.abs(base).sum())
        if factor != 1.0 and np.allclose(a, factor * base, rtol=2e-3, atol=1e-6):
            return {"factor": factor}
    return packed(a, half=True)
