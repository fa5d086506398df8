"""How Sphinx builds the documentation; `build.py` calls it."""

from __future__ import annotations

from typing import Any

import backhand

project = "backhand"
author = "The backhand developers"
copyright = f"2026, {author}"
version = release = backhand.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx-mathjax-offline",  # formulas need no network either
]
exclude_patterns = ["_templates", "api/*.md"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4  # as GitHub makes them, so one link is right in both
nb_execution_mode = "off"  # the notebook keeps its outputs; run_notebook.py runs it
nb_merge_streams = True
nb_code_prompt_show = "Show the answer"  # answers to exercises are all that is folded
nb_code_prompt_hide = "Hide the answer"

default_role = "py:obj"  # single backticks in docstrings: a link where there is one
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections say it
numpydoc_show_class_members = False  # the template lists them
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = f"backhand {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_copy_source = False
toc_object_entries_show_parents = "hide"
html_theme_options = {
    "logo": {"text": "backhand"},
    "navigation_with_keys": False,
    "show_prev_next": True,
    "show_toc_level": 2,
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
}
html_sidebars = {name: [] for name in ("index", "install", "tour", "foundations", "benchmarks")}


def _skip(app: Any, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what classes inherit from other libraries, which document it themselves."""
    module = getattr(member, "__module__", None) or "backhand"
    return True if not module.startswith("backhand") else None


def setup(app: Any) -> None:
    app.connect("autodoc-skip-member", _skip)
