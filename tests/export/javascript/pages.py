"""Pages with modules in headless Chromium, from a server on this machine."""

from __future__ import annotations

import functools
import http.server
import subprocess
import threading

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, *_):
        pass


def dom(folder, page):
    """A page of a folder as HTML, after its scripts."""
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{page}"
        profile = f"--user-data-dir={folder / 'profile'}"
        done = subprocess.run(
            ["chromium", *FLAGS, profile, "--dump-dom", url],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
        server.shutdown()
    return done.stdout
