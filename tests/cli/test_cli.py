from __future__ import annotations

import sys

import pytest

from backhand import cli


def test_main_exits_with_the_code_of_the_command(capsys):
    for words, code in ((["--version"], 0), (["trian"], 2)):
        with pytest.raises(SystemExit) as stop:
            cli.main(words)
        assert stop.value.code == code
    out, err = capsys.readouterr()
    assert out.startswith("backhand ")
    assert err.startswith("error: ")


def test_ctrl_c_while_the_commands_load_is_one_line(monkeypatch, capsys):
    class Interrupt:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "backhand.cli.app":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "backhand.cli.app", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupt, *sys.meta_path])
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 130
    assert capsys.readouterr() == ("", "interrupted: nothing was written\n")
