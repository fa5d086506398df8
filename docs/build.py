"""Build the documentation, and fail on a warning or a link that leads nowhere.

    python docs/build.py              # into build/site
    python docs/build.py FOLDER

Links to other sites are listed in ``external.txt`` beside the pages, and not followed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

DOCS = Path(__file__).resolve().parent


class Page(HTMLParser):
    """The anchors of a page, what it links to, and what it loads by itself."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.targets: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {str(given[name]) for name in ("id", "name") if given.get(name)}
        self.targets += [str(given[name]) for name in ("href", "src") if given.get(name)]
        if tag == "link" and given.get("rel") == "stylesheet":
            self.loaded.append(str(given["href"]))
        elif tag in ("script", "img") and given.get("src"):
            self.loaded.append(str(given["src"]))


def links(site: Path) -> tuple[list[str], list[str]]:
    """The links of a built site that lead nowhere, and those that lead out of it."""
    own = (path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts)
    pages = {path: Page(path) for path in own}
    broken, external = [], set()
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                if parts.scheme != "data":
                    external.add(target)
                continue
            found = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = found.is_file()
            if there and parts.fragment and found in pages:
                there = unquote(parts.fragment) in pages[found].anchors
            if not there:
                broken.append(f"{path.relative_to(site)} links to {target}")
    return broken, sorted(external)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=DOCS.parent / "build" / "site")
    site = parser.parse_args(arguments).folder.resolve()
    call = [sys.executable, "-m", "sphinx", "-q", "-E", "-W", "--keep-going", "-b", "html"]
    if done := subprocess.run([*call, str(DOCS), str(site)]).returncode:
        return done
    broken, external = links(site)
    (site / "external.txt").write_text("".join(f"{link}\n" for link in external), "utf-8")
    print(*broken, sep="\n", file=sys.stderr, end="\n" * bool(broken))
    print(f"{site}: {len(list(site.rglob('*.html')))} pages, {len(external)} links to other sites")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
