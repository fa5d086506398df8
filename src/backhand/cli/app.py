"""The commands and their options, and what becomes of an error: one clear line and an exit code.

Exit codes: 0 done, 1 a check failed or a training diverged, 2 something that was given is wrong,
130 interrupted. What a command does stands in a module of its own, which is imported when it runs.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..errors import BackhandError, InputError, printable
from ..formulas.activations import ACTIVATIONS
from ..formulas.initialisers import INITIALISERS
from ..formulas.losses import LOSSES
from ..formulas.optimisers import OPTIMISERS
from . import INTERRUPTED
from .arguments import (
    DataDir,
    Decimal,
    Drop,
    Encoding,
    Keep,
    KnownRows,
    KnownTarget,
    Model,
    Name,
    Picture,
    Rows,
    Seed,
    Separator,
    Target,
    Task,
    columns,
    listed,
    number_option,
    option,
    page,
    whole_option,
)
from .explore_command import explore
from .interrupts import remembered, stopped_loading
from .train_command import train


class _InterruptedError(BackhandError):
    """Ctrl-C, before the library that parses the command line makes an exit code of it; may say
    what was written."""


class _Group(TyperGroup):
    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().make_context(*args, **kwargs)
        except KeyboardInterrupt:
            raise _InterruptedError from None

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise _InterruptedError(*stop.args) from None


app = typer.Typer(
    name="backhand",
    cls=_Group,
    context_settings={"max_content_width": 100},
    help="Fully connected networks on ordinary processors: check them, train them, use them.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version and stop")] = False,
) -> None:
    if version:
        from .. import __version__

        print(f"backhand {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit


app.command()(train)


@app.command()
def evaluate(
    model: Model,
    file: Rows,
    target: KnownTarget = None,
    json: Annotated[
        Path | None,
        option("--json", metavar="FILE", help="write the scores as JSON; - for standard output"),
    ] = None,
    separator: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
) -> None:
    """Score a trained model on rows whose target is known.

    For classes: accuracy, AUC, log-loss, recall and the confusion matrix. For numbers: RMSE, MAE,
    R2, and how many rows lie within the model's intervals. Each with a 95 % interval, which is as
    narrow as the number of rows allows.
    """
    from .evaluate import run

    run(model, file, target, json, separator=separator, decimal=decimal, encoding=encoding)


@app.command()
def predict(
    model: Model,
    file: Rows,
    out: Annotated[
        Path | None,
        option("--out", "-o", metavar="FILE", help="CSV, TSV or Parquet; else standard output"),
    ] = None,
    key: Annotated[
        list[str] | None,
        option(metavar="COLUMN,...", help="columns to copy to the output; may be repeated"),
    ] = None,
    interval: Annotated[
        float | None,
        number_option("for numbers: an interval in which the share X of values lies, such as 0.9"),
    ] = None,
    separator: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
) -> None:
    """Predict new rows with a trained model.

    There is one line for each row, in their order. A table needs the original columns, in any
    order; others are ignored.
    """
    from .predict import run

    form = {"separator": separator, "decimal": decimal, "encoding": encoding}
    run(model, file, out, columns(key), interval, form)


@app.command()
def info(model: Model) -> None:
    """Say what a model predicts, how well, and from what."""
    from .info import run

    run(model)


@app.command()
def report(
    model: Model,
    file: KnownRows = None,
    target: KnownTarget = None,
    out: Annotated[Path | None, page("report.html, or report-ROWS.html,")] = None,
    separator: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
) -> None:
    """Write what can be seen of a model as one HTML file.

    Scores beside a baseline, thresholds and costs, calibration or errors, which columns matter and
    how, the rows that are most wrong and why, training, and the health of the layers. Without rows
    only what the run has recorded. The file loads nothing from anywhere.
    """
    from .report import run

    form = {"separator": separator, "decimal": decimal, "encoding": encoding}
    run(model, file, target, out, form)


@app.command()
def export(
    model: Model,
    c: Annotated[
        Path | None, option("--c", metavar="NAME", help="NAME.h and NAME.c: C99 without libraries")
    ] = None,
    js: Annotated[
        Path | None, option(metavar="FILE", help="an ES module for pages and Node; it can train")
    ] = None,
    onnx: Annotated[
        Path | None, option(metavar="FILE", help="an ONNX file, with the preprocessing inside")
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="in C, weights of eight bits: smaller, less exact")
    ] = False,
    rows: Annotated[
        Path | None, option(metavar="FILE", help="rows to measure and to test with")
    ] = None,
    separator: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
) -> None:
    """Write a model for programs without Python.

    The preprocessing is inside. The last part of NAME begins every name in C. With --int8 and
    --rows it says what eight bits cost in accuracy. ONNX needs the extra: pip install
    'backhand[onnx]'. Where onnxruntime is installed, the file is run beside the model before it is
    written.
    """
    from .export import run

    form = {"separator": separator, "decimal": decimal, "encoding": encoding}
    run(model, onnx, c, js, int8, rows, form)


app.command()(explore)


@app.command()
def describe(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a CSV, TSV or Parquet table")],
    target: Target = None,
    task: Task = None,
    drop: Drop = None,
    keep: Keep = None,
    separator: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
) -> None:
    """Show how each column of a table would be treated, and why.

    Nothing is trained. With --target, rows without one do not count.
    """
    from .describe import run

    form = {"separator": separator, "decimal": decimal, "encoding": encoding}
    run(file, target, task, columns(drop), columns(keep), form)


@app.command()
def inspect(
    name: Name,
    target: Target = None,
    task: Task = None,
    hidden: Annotated[
        str, option(metavar="N,N,...", help="units of each hidden layer")
    ] = "100,100,100,100,100",
    init: Annotated[
        str, option(metavar="NAME,...", help=f"initialisers to compare: {listed(INITIALISERS)}")
    ] = "lecun_normal,kaiming_normal,glorot_normal,lsuv",
    activation: Annotated[
        str, option(metavar="NAME,...", help=f"activations to compare: {listed(ACTIVATIONS)}")
    ] = "relu,shifted_relu,tanh",
    seed: Seed = 0,
    data_dir: DataDir = None,
    separator: Separator = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    full: Annotated[
        bool, typer.Option("--full", help="every statistic of every layer as well")
    ] = False,
    plot: Picture = None,
) -> None:
    """Show what initialisers and activations make of data.

    For each pair: the variance, mean and gradients of each layer, side by side, before training;
    and a verdict in words, with a remedy. Of a run, in place of a data set: what its layers looked
    like while it was trained with --report.
    """
    from .inspect import run

    where = {
        "data_dir": None if data_dir is None else str(data_dir),
        "target": target,
        "task": task,
        "separator": separator,
        "decimal": decimal,
        "encoding": encoding,
    }
    run(name, where, hidden, init, activation, seed, full, plot)


@app.command()
def check(
    seed: Annotated[int, whole_option("seed of the points and the random networks")] = 0,
    networks: Annotated[int, whole_option("how many random networks")] = 48,
    full: Annotated[bool, typer.Option("--full", help="a line for every comparison")] = False,
) -> None:
    """Check formulas, gradients and machine code.

    Formulas against independent mathematics, derivatives against automatic differentiation,
    machine code against NumPy. Exits with 1 if a comparison fails.
    """
    from .check import run

    raise typer.Exit(run(seed, networks, full))


@app.command()
def show(
    network: Annotated[
        str, typer.Argument(metavar="NETWORK", help="widths such as 784-50-10, or a model's folder")
    ],
    activation: Annotated[
        str, option(metavar="NAME,...", help=f"one, or one for each layer: {listed(ACTIVATIONS)}")
    ] = "relu",
    loss: Annotated[str, option(metavar="NAME", help=listed(LOSSES))] = "mean_squared_error",
    dropout: Annotated[float, number_option("dropout probability of hidden units")] = 0.0,
    optimiser: Annotated[str, option(metavar="NAME", help=listed(OPTIMISERS))] = "adam",
    dtype: Annotated[str, option(metavar="NAME", help="float32 or float64")] = "float32",
    plan: Annotated[
        bool, typer.Option("--plan", help="the nodes of a training step, the default")
    ] = False,
    ir: Annotated[bool, typer.Option("--ir", help="the LLVM IR of an epoch")] = False,
    asm: Annotated[bool, typer.Option("--asm", help="the machine code of an epoch")] = False,
    target: Annotated[
        str | None,
        option(metavar="NAME", help="avx512, avx2, fma128 or aarch64; by default this processor"),
    ] = None,
) -> None:
    """Print what runs for a network: the plan of a training step, LLVM IR or assembly.

    What a model is and how good it is says `backhand info`.
    """
    from .show import run

    kinds = [kind for kind, on in (("plan", plan), ("ir", ir), ("asm", asm)) if on]
    run(network, activation, loss, dropout, optimiser, dtype, kinds, target)


@app.command()
def bench(
    networks: Annotated[
        str, option(metavar="LETTERS", help="which of A, B, C, D, E and W")
    ] = "ABCDEW",
    rounds: Annotated[int, whole_option("how often everyone trains an epoch")] = 5,
    peers: Annotated[
        str | None,
        option(
            metavar="NAME,...", help="torch, jax, scikit-learn; by default those that are installed"
        ),
    ] = None,
    out: Annotated[
        Path | None, option("--out", "-o", metavar="FILE", help="write the record as JSON")
    ] = None,
) -> None:
    """Measure how fast networks train on this machine.

    Beside the other libraries that are installed, and as a share of the machine's own peak. Each
    network takes some minutes.
    """
    from .bench import run

    run(networks, rounds, peers, out)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    with warnings.catch_warnings(), remembered(), _showable():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _one_line
        return _run(arguments)


@contextlib.contextmanager
def _showable() -> Iterator[None]:
    """Let standard output take any text: what its encoding lacks is shown as an escape."""
    streams: list[Any] = [s for s in (sys.stdout, sys.stderr) if hasattr(s, "reconfigure")]
    before = [(stream.encoding, stream.errors) for stream in streams]
    for stream in streams:
        stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream, (encoding, errors) in zip(streams, before, strict=True):
            with contextlib.suppress(OSError, ValueError):  # whoever read it has gone
                stream.reconfigure(encoding=encoding, errors=errors)


@contextlib.contextmanager
def _with_ctrl_c_while_loading() -> Iterator[None]:
    """Raise KeyboardInterrupt instead of an error that Ctrl-C has become in a loading module."""
    try:
        yield
    except Exception as error:
        if stopped_loading(error):
            raise KeyboardInterrupt from None
        raise


def _run(arguments: Sequence[str] | None) -> int:
    try:
        with _with_ctrl_c_while_loading():
            code = app(args=arguments, prog_name="backhand", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except typer.Exit as stop:
        return stop.exit_code
    except (_InterruptedError, KeyboardInterrupt, typer.Abort) as stop:
        print(f"interrupted: {str(stop) or 'nothing was written'}", file=sys.stderr)
        return INTERRUPTED
    except BackhandError as error:
        return _say(str(error), 2 if isinstance(error, InputError) else 1)
    except BrokenPipeError:  # whoever read the output has gone; nobody is there to be told
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())  # or the interpreter complains at exit
        return 1
    except MemoryError as error:
        return _say(
            f"not enough memory: {str(error) or 'try a smaller --batch-size or --hidden'}", 1
        )
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _say(f"{place}{error.strerror or error}", 2)
    except Exception as error:
        usage: Any = getattr(error, "format_message", None)
        if usage is None:
            raise
        context = getattr(error, "ctx", None)
        hint = f" (see {context.command_path} --help)" if context is not None else ""
        return _say(usage() + hint, 2)


def _say(message: str, code: int) -> int:
    print(f"error: {printable(' '.join(message.split()))}", file=sys.stderr)
    return code


def _one_line(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {printable(' '.join(str(message).split()))}", file=sys.stderr)
