from __future__ import annotations

import os
import signal
import sys
import threading
from importlib import import_module

import pytest

from backhand import InputError
from backhand.cli.interrupts import heed, pressed, remembered, stopped_loading


def press():
    os.kill(os.getpid(), signal.SIGINT)


def test_what_was_lost_is_raised_again():
    with remembered():
        heed()
        assert not pressed()
        with pytest.raises(KeyboardInterrupt):
            press()  # and whoever loads a library clears it
        with pytest.raises(KeyboardInterrupt):
            heed()
        assert pressed()
    with remembered():
        heed()  # that was another time
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Pressing:
    def __init__(self, error=None):
        self.error = error

    def __del__(self):
        if self.error:
            raise self.error
        press()


def test_what_a_destructor_lost_is_raised_again_and_not_told(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: told.append(lost.exc_type))
    with remembered():
        Pressing()
        assert told == []
        with pytest.raises(KeyboardInterrupt):
            heed()
        Pressing(ValueError("not Ctrl-C"))
        assert told == [ValueError]
    Pressing(KeyError("afterwards"))
    assert told == [ValueError, KeyError]


def test_the_plans_of_others_are_left_alone():
    pressed = []

    def mine(*_):
        pressed.append(True)

    before = signal.signal(signal.SIGINT, mine)
    try:
        with remembered():
            assert signal.getsignal(signal.SIGINT) is mine
            press()
            heed()
        assert pressed == [True]
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_are_not_interrupted():
    done = []

    def work():
        with remembered():
            heed()
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


LOADING = {
    "an error of its own": "raise ImportError('C failed')",
    "of the system": "raise OSError(2, 'cannot load')",
    "of memory": "raise MemoryError",
    "half of it is there": "{}['what was not defined']",
}


@pytest.mark.parametrize("becomes", LOADING.values(), ids=LOADING)
@pytest.mark.parametrize("explained", [False, True], ids=["plain", "explained"])
def test_a_module_that_ctrl_c_stopped_from_loading(
    backhand, tmp_path, monkeypatch, becomes, explained
):
    code = f"import os\ntry: os.kill(os.getpid(), 2)\nexcept KeyboardInterrupt: {becomes}\n"
    (tmp_path / "stopped.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)

    def load(*args, **kwargs):
        try:
            import_module("stopped")
        except Exception as error:
            if explained:
                raise InputError("table.parquet: is damaged") from None
            raise error

    monkeypatch.setattr("backhand.datasets.load", load)
    assert backhand("train", "digits") == (130, "", "interrupted: nothing was written\n")


def test_errors_of_other_origins_are_theirs(tmp_path, monkeypatch):
    with remembered():
        with pytest.raises(KeyboardInterrupt):
            press()  # no module is loading
        with pytest.raises(ImportError) as missing:
            import_module("this_is_not_there")
        assert not stopped_loading(missing.value)
    (tmp_path / "pressing.py").write_text("import os\nos.kill(os.getpid(), 2)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with remembered():
        with pytest.raises(KeyboardInterrupt):
            import_module("pressing")
        with pytest.raises(ValueError, match="after the loading") as later:
            raise ValueError("after the loading")
        assert not stopped_loading(later.value)
    with remembered():
        with pytest.raises(ImportError) as missing:
            import_module("this_is_not_there")
        assert not stopped_loading(missing.value)
