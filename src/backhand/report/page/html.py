"""The page: a template, a style sheet, a script, and the library that draws, in one document.

Charts are drawn by Observable Plot and D3, which lie in ``static/`` with their licences.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

DASH, MINUS = "\u2013", "\u2212"

LIBRARIES = ("d3.min.js", "plot.umd.min.js")


@functools.cache
def static(name: str) -> str:
    return (resources.files(__package__) / "static" / name).read_text("utf-8")


def embedded(data: Any) -> str:
    """JSON that may stand in a script: no text in it can end the element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


@functools.cache
def _template() -> Any:
    import jinja2

    loader = jinja2.FunctionLoader(static)
    made = jinja2.Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters |= {"number": number, "share": share, "signed": signed}
    return made.get_template("report.html.jinja")


def page(data: Mapping[str, Any]) -> str:
    """The HTML document of a report's data."""
    import markupsafe

    found: str = _template().render(
        data=data,
        json=markupsafe.Markup(embedded(data)),
        style=markupsafe.Markup(static("report.css")),
        licences=static("LICENSES.txt"),
        script=markupsafe.Markup(static("report.js")),
        libraries=[markupsafe.Markup(static(name)) for name in LIBRARIES],
    )
    return found


def number(value: float | None, digits: int = 4) -> str:
    """A number for people; a dash for None."""
    if value is None:
        return DASH
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.{digits - 1}e}"
    whole = abs(value) >= 10 ** (digits - 1)
    return f"{value:,.0f}" if whole else f"{value:.{digits}g}"


def share(value: float | None) -> str:
    """A share as per cent; a dash for None."""
    return DASH if value is None else f"{100 * value:.1f} %"


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign, and a real minus."""
    text = number(abs(value), digits)
    return f"+{text}" if value >= 0 else f"{MINUS}{text}"
