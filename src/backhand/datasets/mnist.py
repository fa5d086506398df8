"""MNIST: 70,000 handwritten digits of 28 by 28 pixels, found, downloaded and verified.

Each of the four files is looked for in the folder that the caller or BACKHAND_DATA names, then in
the user's cache, and is then downloaded into the cache. Whatever its name and compression, it is
trusted for its content alone: the SHA-256 of the uncompressed IDX bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from backhand.datasets.data import Data
from backhand.datasets.files import unpack
from backhand.datasets.idx import read_idx
from backhand.errors import InputError
from backhand.files import as_path, replacing
from backhand.preprocess.pixels import Standardise
from backhand.train.rows import Rows

# Of the uncompressed files.
SHA256: Mapping[str, str] = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",  # often refuses, so it comes last
)
VALIDATION_ROWS = 10_000
# Pixels divided by 256, the lesson's convention: training mean 0.1304 and std 0.3073.
SCALE = 1 / 256
VARIABLE = "BACKHAND_DATA"

# The largest of the files has 47,040,016 bytes.
LIMIT = 1 << 26
TIMEOUT = 15.0


def load_mnist(
    data_dir: str | os.PathLike[str] | None = None,
    *,
    mirrors: Sequence[str] = MIRRORS,
    sha256: Mapping[str, str] = SHA256,
    cache: Path | None = None,
    validation_rows: int = VALIDATION_ROWS,
) -> Data:
    """Load MNIST: 50,000 training rows, the last 10,000 of the 60,000 to validate, 10,000 to test.

    Parameters
    ----------
    data_dir : str or path, optional
        The folder to look in first; else the one in BACKHAND_DATA. A file is taken under its
        common names (``train-images-idx3-ubyte`` or ``train-images.idx3-ubyte``), plain or with
        .gz, .bz2 or .xz.
    mirrors : sequence of str
        Addresses to which a file's name is appended, tried in order.
    sha256 : mapping of str to str
        The four files' names, and the SHA-256 of their uncompressed content.
    cache : Path, optional
        Where downloads are kept; else the user's cache folder.
    validation_rows : int
        How many rows at the end of the training files are for validation.

    Returns
    -------
    Data
        Classification with classes 0 to 9 and 784 inputs, standardised by one mean and one std over
        the training rows' pixels.

    Raises
    ------
    InputError
        If a file in the named folder is not what its name says, if that folder is not there, and
        if a file is nowhere and cannot be downloaded.
    """
    folder = _named_folder(data_dir)
    store = _cache() if cache is None else cache
    arrays: dict[str, NDArray[np.uint8]] = {}
    order = list(mirrors)
    for stem in sha256:
        arrays[stem] = _find(stem, sha256, folder, store, order)
    train_images, train_labels, test_images, test_labels = (arrays[stem] for stem in sha256)
    return split_pixels(
        "mnist",
        (train_images[:-validation_rows], train_labels[:-validation_rows]),
        (train_images[-validation_rows:], train_labels[-validation_rows:]),
        (test_images, test_labels),
    )


def split_pixels(name: str, *parts: tuple[NDArray[np.uint8], NDArray[Any]]) -> Data:
    """Prepare three pairs of byte pixels (N, H, W) or (N, D) and labels (N,) from 0 to 9."""
    preparation = Standardise.fit(parts[0][0], SCALE)
    train, validation, test = (
        Rows(preparation.apply(pixels), labels.astype(np.int64)) for pixels, labels in parts
    )
    return Data(
        name=name,
        task="classification",
        train=train,
        validation=validation,
        test=test,
        classes=list(range(10)),
        preparation=preparation,
        target=None,
        feature_names=preparation.feature_names,
    )


def _named_folder(data_dir: str | os.PathLike[str] | None) -> Path | None:
    """Return the folder that the caller or the environment names, which must be there."""
    named = data_dir if data_dir is not None else os.environ.get(VARIABLE) or None
    if named is None:
        return None
    folder = Path(os.path.expanduser(as_path(named)))
    if not folder.is_dir():
        source = "the data folder" if data_dir is not None else VARIABLE
        raise InputError(f"{source}: no such folder: {folder}")
    return folder


def _cache() -> Path:
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("backhand")) / "mnist"


def _find(
    stem: str, sha256: Mapping[str, str], folder: Path | None, cache: Path, mirrors: list[str]
) -> NDArray[np.uint8]:
    """Return one file's array, from the first place that has it."""
    named = _candidates(folder, stem) if folder is not None else []
    if named:
        return _verified(named[0], stem, sha256[stem])
    for path in _candidates(cache, stem):
        # What is wrong in the cache is ours to replace, so it is passed over.
        with contextlib.suppress(InputError):
            return _verified(path, stem, sha256[stem])
    return _download(stem, sha256, cache, mirrors)


def _candidates(folder: Path, stem: str) -> list[Path]:
    """Return the files in ``folder`` that are named like ``stem``, plain ones first."""
    names = (stem, stem.replace("-idx", ".idx"))
    paths = [folder / (name + end) for end in ("", ".gz", ".bz2", ".xz") for name in names]
    return [path for path in paths if path.is_file()]


def _verified(path: Path, stem: str, digest: str) -> NDArray[np.uint8]:
    """Read one IDX file, or say what is wrong with it."""
    content = unpack(path, LIMIT)
    # First as IDX, since "holds 10 values, its header says 20" helps more than a hash.
    values = read_idx(content, str(path), rank=3 if "images" in stem else 1)
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise InputError(
            f"{path}: is not MNIST's {stem}: its uncompressed content has SHA-256 {found[:12]}…, "
            f"expected {digest[:12]}…; remove it or put the right file there"
        )
    return values


class _Capped:
    """A file for a download, which refuses to grow beyond what can be right."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self.file = file
        self.left = limit

    def write(self, piece: bytes) -> int:
        self.left -= len(piece)
        if self.left < 0:
            raise InputError("sends more than the file can have")
        return self.file.write(piece)

    def flush(self) -> None:
        self.file.flush()


def _download(
    stem: str, sha256: Mapping[str, str], cache: Path, mirrors: list[str]
) -> NDArray[np.uint8]:
    """Download one file into the cache from the first mirror that has the right content.

    It is written under a temporary name and gets its own only when it has been verified. Mirrors
    that fail go to the end of ``mirrors``, so that the next file does not wait for them again.
    """
    import pooch
    import requests

    fetch = pooch.HTTPDownloader(timeout=TIMEOUT, chunk_size=1 << 16)
    reasons = []
    for mirror in list(mirrors):
        url = f"{mirror.rstrip('/')}/{stem}.gz"
        temporary = ""
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with replacing(cache / f"{stem}.gz") as file:
                temporary = file.name
                fetch(url, _Capped(file, LIMIT), None)
                file.flush()
                return _verified(Path(temporary), stem, sha256[stem])
        except (requests.RequestException, InputError) as error:
            # The temporary name would tell nobody anything.
            why = str(error).replace(f"{temporary}: ", "").strip()
            reasons.append(f"{mirror} {_short(error, why)}")
            mirrors.append(mirrors.pop(mirrors.index(mirror)))
        except OSError as error:
            raise InputError(
                f"MNIST cannot be kept in {cache}: {error.strerror or error}; {_remedy(sha256)}"
            ) from None
    told = f" ({'; '.join(reasons)})" if reasons else ""
    raise InputError(f"MNIST: {stem} could not be downloaded{told}: {_remedy(sha256)}")


def _short(error: Exception, why: str) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answers {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "does not answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "breaks off"
    if isinstance(error, requests.ConnectionError):
        return "cannot be reached"
    return why.splitlines()[0][:200] if why else type(error).__name__


def _remedy(sha256: Mapping[str, str]) -> str:
    names = ", ".join(f"{stem}.gz" for stem in sha256)
    return f"put {names} into one folder and name it with --data-dir or {VARIABLE}"
