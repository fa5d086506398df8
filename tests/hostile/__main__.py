"""Random hostile calls of the public interface: ``python -m tests.hostile --calls 20000``.

`ingredients` and `sparse` make arguments, each with what it truly means; the files that end in
``_calls`` make calls of them, `judge` says what may come of a call, and `runner` makes them in
processes of their own. ``--seed N`` makes the calls of one seed again, in this process, and prints
them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings

from .runner import families_of, one_seed, run, worker


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.hostile", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--calls", type=int, default=2000, help="seeds; each makes a call or more")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="make the calls of this seed alone, and show them")
    parser.add_argument("--family", default="", help="calls of this family alone")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--examples", type=int, default=3, help="seeds shown of each kind of fault")
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        worker(options.worker, options.family)
        return 0
    if options.seed is not None:
        warnings.simplefilter("ignore")
        found = one_seed(
            options.seed, lambda kind, what: print(f"{kind}: {what}", flush=True), options.family
        )
        return bool(found)
    seeds = range(options.first, options.first + options.calls)
    started = time.monotonic()
    found, counts = run(seeds, options.jobs, options.family)
    for kind, findings in families_of(found):
        print(f"{len(findings)} x {kind}")
        for finding in findings[: options.examples]:
            print(f"  seed {finding.seed}: {finding.call}\n    => {finding.fault}")
    done = sum(counts[kind] for kind in ("result", "refused", "fault"))
    shares = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    print(f"{done} calls in {time.monotonic() - started:.0f} s: {shares}")
    print(f"{len(found)} faults")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
