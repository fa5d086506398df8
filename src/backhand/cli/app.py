"""The commands and their options, and what becomes of an error: one clear line and an exit code.

Exit codes: 0 done, 1 a proof failed or a training diverged, 2 something that was given is wrong,
130 interrupted. What a command does stands in a module of its own, which is imported when it runs.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ..errors import BackhandError, InputError

app = typer.Typer(
    name="backhand",
    help="Fully connected networks on ordinary processors: prove them, train them, use them.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

INTERRUPTED = 130

Name = Annotated[str, typer.Argument(metavar="NAME|FILE", help="digits, mnist, or a table's file")]
Target = Annotated[Optional[str], typer.Option(help="column to predict, for a table")]  # noqa: UP045
Task = Annotated[
    Optional[str],  # noqa: UP045  # typer reads annotations at run time, on Python 3.10 too
    typer.Option(help="classification or regression, instead of what the target suggests"),
]
DataDir = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(help="folder of the MNIST files (also: the environment's BACKHAND_DATA)"),
]
Seed = Annotated[int, typer.Option(help="of the split, the initialisation and the training")]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="print the version and stop")] = False,
) -> None:
    if version:
        from .. import __version__

        print(f"backhand {__version__}")
        raise typer.Exit


@app.command()
def train(
    name: Name,
    target: Target = None,
    task: Task = None,
    hidden: Annotated[str, typer.Option(help="units of each hidden layer")] = "256",
    activation: Annotated[
        str, typer.Option(help="of the hidden layers: one, or one each")
    ] = "relu",
    loss: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="by default cross-entropy for classes, squared error for numbers"),
    ] = None,
    epochs: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="by default 60, or 15 for more than 10,000 rows"),
    ] = None,
    batch: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="rows a step; by default 32, or 128 for more than 10,000 rows"),
    ] = None,
    rate: Annotated[float, typer.Option(help="learning rate, at its peak")] = 5e-3,
    optimiser: Annotated[str, typer.Option(help="sgd, momentum, nesterov, adam or adamw")] = "adam",
    schedule: Annotated[
        str, typer.Option(help="constant, inverse_scaling, cosine or one_cycle")
    ] = "one_cycle",
    l2: Annotated[float, typer.Option(help="factor of half the squared weights")] = 0.0,
    dropout: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="share of hidden units dropped; by default 0.3 for classes, else 0"),
    ] = None,
    init: Annotated[str, typer.Option(help="initialisation scheme")] = "kaiming_normal",
    patience: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="stop after so many epochs without a better validation score"),
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32 or float64")] = "float32",
    engine: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="llvm (machine code, the default) or numpy"),
    ] = None,
    threads: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="of the machine code; changes the time, not one bit of the result"),
    ] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="new folder for the run; by default runs/NAME-TIME"),
    ] = None,
    plot: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="draw the history as .png, .svg or .pdf"),
    ] = None,
) -> None:
    """Train a network on a data set or a table, and keep the best model."""
    from .train import Options, run

    code = run(
        Options(
            name=name,
            target=target,
            task=task,
            hidden=hidden,
            activation=activation,
            loss=loss,
            epochs=epochs,
            batch=batch,
            rate=rate,
            optimiser=optimiser,
            schedule=schedule,
            l2=l2,
            dropout=dropout,
            init=init,
            patience=patience,
            dtype=dtype,
            engine=engine,
            threads=threads,
            seed=seed,
            data_dir=None if data_dir is None else str(data_dir),
        ),
        out,
        plot,
    )
    raise typer.Exit(code)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="a model.safetensors")],
    file: Annotated[Path, typer.Argument(help="CSV, TSV or Parquet table, or .npy array")],
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", "-o", help="CSV, TSV or Parquet file; by default the terminal"),
    ] = None,
) -> None:
    """Predict new rows, given as the original columns in any order."""
    from .predict import run

    run(model, file, out)


@app.command()
def inspect(
    name: Name,
    target: Target = None,
    task: Task = None,
    hidden: Annotated[str, typer.Option(help="units of each hidden layer")] = "100,100,100,100,100",
    init: Annotated[
        str, typer.Option(help="schemes to compare")
    ] = "lecun_normal,kaiming_normal,glorot_normal,lsuv",
    activation: Annotated[
        str, typer.Option(help="activations to compare")
    ] = "relu,shifted_relu,tanh",
    seed: Seed = 0,
    data_dir: DataDir = None,
    full: Annotated[bool, typer.Option(help="every statistic of every layer too")] = False,
    plot: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="draw it as .png, .svg or .pdf"),
    ] = None,
) -> None:
    """Show what initialisations and activations make of this data, layer by layer."""
    from .inspect import run

    directory = None if data_dir is None else str(data_dir)
    run(name, target, task, hidden, init, activation, seed, directory, full, plot)


@app.command()
def check(
    seed: Annotated[int, typer.Option(help="of points and random networks")] = 0,
    networks: Annotated[int, typer.Option(help="how many random networks")] = 48,
) -> None:
    """Prove every formula and whole networks against independent oracles."""
    from .check import run

    raise typer.Exit(run(seed, networks))


@app.command()
def show(
    network: Annotated[str, typer.Argument(help="widths such as 784-50-10, or a model's file")],
    activation: Annotated[str, typer.Option(help="of the hidden layers")] = "relu",
    loss: Annotated[str, typer.Option()] = "mean_squared_error",
    dropout: Annotated[float, typer.Option()] = 0.0,
    optimiser: Annotated[str, typer.Option()] = "adam",
    dtype: Annotated[str, typer.Option()] = "float32",
    plan: Annotated[bool, typer.Option("--plan", help="the nodes of a training step")] = False,
    ir: Annotated[bool, typer.Option("--ir", help="the LLVM IR of an epoch")] = False,
    asm: Annotated[bool, typer.Option("--asm", help="the machine code of an epoch")] = False,
    target: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="avx512, avx2, fma128 or aarch64; by default this processor"),
    ] = None,
) -> None:
    """Print what runs for a network: the plan, LLVM IR or assembly (the plan if none is named)."""
    from .show import run

    kinds = [kind for kind, on in (("plan", plan), ("ir", ir), ("asm", asm)) if on]
    run(network, activation, loss, dropout, optimiser, dtype, kinds or ["plan"], target)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _one_line
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = app(args=arguments, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except typer.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted", INTERRUPTED)
    except BackhandError as error:
        given = isinstance(error, (InputError, ImportError))
        return _say(str(error), 2 if given else 1)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read the output has gone; there is nobody to tell
        return 1
    except Exception as error:
        usage: Any = getattr(error, "format_message", None)
        if usage is None:
            raise
        return _say(usage(), 2)


def _say(message: str, code: int) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code


def _one_line(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)
