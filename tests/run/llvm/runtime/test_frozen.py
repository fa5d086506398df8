"""Functions of rows from bytes: memory of each call, and nothing of LLVM. The rest is tested with
`row_program`, which makes such bytes, and with `backhand.serve`."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from backhand.export.program import program_of_network
from backhand.network import Network
from backhand.run.llvm.runtime.frozen import RowFunctions
from backhand.run.llvm.runtime.row_program import frozen_program
from backhand.serve.serving import row_program


@pytest.fixture(scope="module")
def content():
    network = Network((4, 8, 2), activation="silu")
    program = program_of_network(network, network.init("glorot_normal"))
    return frozen_program(row_program(program))


def test_memory_is_used_again(content):
    functions, x = RowFunctions(content), np.ones(4, "f4").tobytes()
    first = functions.prepared(x)[1]
    second = functions.prepared(x)[1]
    assert first[:] == second[:]
    assert first is not second
    assert len(functions._idle) == 1
    assert functions.raw is None


def test_two_loads_are_apart(content):
    one, other = RowFunctions(content), RowFunctions(content)
    x = np.ones(4, "f4").tobytes()
    assert one.prepared(x)[1][:] == other.prepared(x)[1][:]
    other._constants[:] = 0
    assert one.prepared(x)[1][:] != other.prepared(x)[1][:]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere LLVM loads code")
def test_a_new_process_needs_no_llvm(content, tmp_path):
    (tmp_path / "content").write_bytes(content)
    code = (
        "import sys; from backhand.run.llvm.runtime.frozen import RowFunctions; "
        "RowFunctions(open(sys.argv[1], 'rb').read()).prepared(bytes(16)); "
        "print(*(n for n in sys.modules if n.startswith(('llvmlite', 'backhand.plan'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "content"], capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_rows_have_their_length(content):
    functions = RowFunctions(content)
    for rows, count in ((bytes(15), 1), (bytes(16), 2), (bytes(48), 2), (b"", 1)):
        with pytest.raises(ValueError, match=rf"{count} rows take {16 * count} bytes, got"):
            functions.prepared(rows, count)
