"""What a notebook shows of an estimator: scikit-learn's diagram, and below it what was learned."""

from __future__ import annotations

import html
from typing import Any

STYLE = "font-family: system-ui, sans-serif; font-size: 0.9em; margin: 0.4em 0"


class Shown:
    """An estimator with a line about its fit in its HTML form."""

    def _learned(self) -> str:
        """What was learned, in a line; empty before a fit."""
        raise NotImplementedError

    def _with_fit(self, found: str) -> str:
        told = self._learned()
        return f'{found}<p style="{STYLE}">{html.escape(told)}</p>' if told else found

    def _repr_html_inner(self) -> str:
        return self._with_fit(super()._repr_html_inner())  # type: ignore[misc]  # scikit-learn's

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        found: dict[str, str] = super()._repr_mimebundle_(**kwargs)  # type: ignore[misc]  # likewise
        if "text/html" in found:
            found["text/html"] = self._with_fit(found["text/html"])
        return found
