"""MNIST's way from a folder, the cache or a mirror, with small files and a local server."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import http.server
import lzma
import os
import struct
import threading

import numpy as np
import pytest

from backhand.datasets import mnist
from backhand.datasets.mnist import SHA256, load_mnist
from backhand.errors import InputError

STEMS = tuple(SHA256)


def idx(values):
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def small():
    rng = np.random.default_rng(0)
    images = [rng.integers(256, size=(n, 5, 4), dtype=np.uint8) for n in (60, 20)]
    labels = [rng.integers(10, size=n, dtype=np.uint8) for n in (60, 20)]
    return dict(zip(STEMS, (images[0], labels[0], images[1], labels[1]), strict=True))


ARRAYS = small()
CONTENT = {stem: idx(values) for stem, values in ARRAYS.items()}
HASHES = {stem: hashlib.sha256(content).hexdigest() for stem, content in CONTENT.items()}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("BACKHAND_DATA", raising=False)


@pytest.fixture
def fetch(tmp_path):
    """Load the small files, with a cache of its own and no mirror unless one is given."""

    def fetch(data_dir=None, mirrors=()):
        return load_mnist(
            data_dir,
            mirrors=mirrors,
            sha256=HASHES,
            cache=tmp_path / "cache",
            validation_rows=10,
        )

    return fetch


def fill(folder, how=lambda stem, content: (stem, content)):
    folder.mkdir(exist_ok=True)
    for stem, content in CONTENT.items():
        name, packed = how(stem, content)
        (folder / name).write_bytes(packed)
    return folder


class Server(http.server.ThreadingHTTPServer):
    """Serves the small files, or misbehaves in the way it is told to."""

    def __init__(self, how):
        super().__init__(("127.0.0.1", 0), Handler)
        self.how = how
        self.asked = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/mnist/"

    def handle_error(self, request, client_address):
        """Be quiet about clients that hang up, as they must on an endless file."""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.rpartition("/")[2]
        self.server.asked.append(name)
        body = gzip.compress(CONTENT[name.removesuffix(".gz")])
        how = self.server.how
        if how == "missing":
            self.send_error(404)
            return
        if how == "garbage":
            body = b"<html>please log in</html>"
        if how == "wrong":
            body = gzip.compress(CONTENT[STEMS[0]][:-1] + b"\x07")
        if how == "short":
            body = body[: len(body) // 2]
        if how == "bomb":
            body = gzip.compress(bytes(mnist.LIMIT + 1), 1)
        self.send_response(200)
        # A server that breaks off has promised more than it sends.
        self.send_header("Content-Length", str(len(body) * (2 if how == "break" else 1)))
        self.end_headers()
        if how == "endless":
            body = bytes(mnist.LIMIT + 1)
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    servers = []

    def serve(how="good"):
        server = Server(how)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def check(data):
    images, labels, test_images, test_labels = ARRAYS.values()
    train = images[:50].astype(np.float64) / 256
    assert data.preparation.mean == pytest.approx(train.mean(), rel=1e-12)
    assert data.preparation.std == pytest.approx(train.std(), rel=1e-12)
    parts = ((images[:50], labels[:50]), (images[50:], labels[50:]), (test_images, test_labels))
    for (x, t), part in zip(parts, (data.train, data.validation, data.test), strict=True):
        expected = (x.reshape(len(x), -1) / 256 - train.mean()) / train.std()
        np.testing.assert_allclose(part.x, expected, rtol=1e-6, atol=1e-7)
        np.testing.assert_array_equal(part.t, t)
        assert part.x.dtype == np.float32
        assert part.t.dtype == np.int64
    assert data.classes == list(range(10))
    assert data.task == "classification"


# A folder


@pytest.mark.parametrize(
    "how",
    [
        lambda stem, content: (stem, content),
        lambda stem, content: (stem + ".gz", gzip.compress(content)),
        lambda stem, content: (stem + ".bz2", bz2.compress(content)),
        lambda stem, content: (stem.replace("-idx", ".idx") + ".xz", lzma.compress(content)),
        lambda stem, content: (stem.replace("-idx", ".idx"), content),
        lambda stem, content: (stem + ".gz", content),
    ],
    ids=["plain", "gz", "bz2", "dot xz", "dot", "named gz but plain"],
)
def test_a_folder_under_any_name_and_compression(tmp_path, fetch, how):
    check(fetch(fill(tmp_path / "data", how)))
    assert not (tmp_path / "cache").exists()


def test_the_environment_names_the_folder(tmp_path, fetch, monkeypatch):
    monkeypatch.setenv("BACKHAND_DATA", str(fill(tmp_path / "data")))
    check(fetch())
    with pytest.raises(InputError, match=r"^the data folder: no such folder: .*other"):
        fetch(tmp_path / "other")
    monkeypatch.setenv("BACKHAND_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"^BACKHAND_DATA: no such folder: .*nowhere"):
        fetch()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an IDX file"),
        (CONTENT[STEMS[1]], "has 1 dimensions, expected 3"),
        (CONTENT[STEMS[0]][:-1], "holds 1199 values, its header says 60 x 5 x 4 = 1200"),
        (CONTENT[STEMS[0]][:-1] + b"\x07", "is not MNIST's train-images.*SHA-256"),
        (gzip.compress(CONTENT[STEMS[0]])[:-9], "is damaged or cut off"),
    ],
)
def test_a_wrong_file_in_the_folder_is_named_and_not_passed_over(
    tmp_path, fetch, serve, content, message
):
    folder = fill(tmp_path / "data")
    (folder / STEMS[0]).write_bytes(content)
    with pytest.raises(InputError, match=rf"data.{STEMS[0]}: {message}"):
        fetch(folder, [serve().url])


# The cache and the download


def test_a_download_is_kept_and_used_again(tmp_path, fetch, serve):
    server = serve()
    check(fetch(mirrors=[server.url]))
    assert server.asked == [stem + ".gz" for stem in STEMS]
    assert sorted(os.listdir(tmp_path / "cache")) == sorted(stem + ".gz" for stem in STEMS)
    check(fetch())


def test_what_the_folder_lacks_is_downloaded(tmp_path, fetch, serve):
    server = serve()
    folder = fill(tmp_path / "data")
    (folder / STEMS[2]).unlink()
    check(fetch(folder, [server.url]))
    assert server.asked == [STEMS[2] + ".gz"]


@pytest.mark.parametrize(
    "how", ["missing", "garbage", "wrong", "short", "break", "endless", "bomb"]
)
def test_a_bad_mirror_leaves_nothing_and_falls_to_the_next(
    tmp_path, fetch, serve, how, monkeypatch
):
    monkeypatch.setattr(mnist, "LIMIT", 100_000)
    bad, good = serve(how), serve()
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte could not be downloaded"):
        fetch(mirrors=[bad.url])
    assert os.listdir(tmp_path / "cache") == []
    check(fetch(mirrors=[bad.url, good.url]))
    # Once alone and once before the good one; after that failure it is asked last.
    assert len(bad.asked) == 2
    assert all(not name.endswith(".part") for name in os.listdir(tmp_path / "cache"))


def test_the_reasons_and_the_remedy_are_told(fetch, serve):
    servers = [serve(how) for how in ("missing", "garbage", "break", "endless")]
    closed = serve()
    closed.shutdown()
    closed.server_close()
    with pytest.raises(InputError) as caught:
        fetch(mirrors=[server.url for server in (*servers, closed)])
    message = str(caught.value)
    for told in ("answers 404", "is not an IDX file", "breaks off", "cannot be reached"):
        assert told in message
    for stem in STEMS:
        assert f"{stem}.gz" in message
    assert "--data-dir or BACKHAND_DATA" in message
    assert "\n" not in message
    assert ".part" not in message


def test_without_files_and_mirrors(fetch):
    with pytest.raises(InputError, match="could not be downloaded: put train-images"):
        fetch()


def test_an_interrupted_download_leaves_nothing(tmp_path, fetch, serve, monkeypatch):
    def interrupt(self, piece):
        self.file.write(piece[:10])
        self.file.flush()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mnist._Capped, "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch(mirrors=[serve().url])
    assert os.listdir(tmp_path / "cache") == []


def test_a_damaged_file_in_the_cache_is_replaced(tmp_path, fetch, serve):
    server = serve()
    fetch(mirrors=[server.url])
    path = tmp_path / "cache" / f"{STEMS[1]}.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    # What a killed process may leave behind is never taken for the file.
    (tmp_path / "cache" / ".download-x.part").write_bytes(b"half")
    check(fetch(mirrors=[server.url]))
    assert server.asked[4:] == [STEMS[1] + ".gz"]
    assert gzip.decompress(path.read_bytes()) == CONTENT[STEMS[1]]


def test_a_cache_that_cannot_be_written(tmp_path, fetch, serve):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(InputError, match=r"cannot be kept in .*cache: .*; put train-images"):
        fetch(mirrors=[serve().url])


# The real files


@pytest.fixture(scope="module")
def real():
    folder = os.environ.get("BACKHAND_DATA")
    if not folder:
        pytest.skip("needs the four MNIST files: name their folder with BACKHAND_DATA")
    return load_mnist(folder, mirrors=())


def test_the_real_files_give_the_lessons_numbers(real):
    assert real.train.x.shape == (50_000, 784)
    assert real.validation.x.shape == (10_000, 784)
    assert real.test.x.shape == (10_000, 784)
    assert real.preparation.mean == pytest.approx(0.1304, abs=1e-4)
    assert real.preparation.std == pytest.approx(0.3073, abs=1e-4)
    assert real.train.t[:5].tolist() == [5, 0, 4, 1, 9]
    assert abs(real.train.x.mean(dtype=np.float64)) < 1e-6
    # The validation rows are prepared with the same two numbers, not with their own.
    assert abs(real.validation.x.mean(dtype=np.float64)) > 1e-3
