"""Pictures of reports and walks: tables and the digits, on a desktop and a phone, light and dark.

    python docs/screenshots.py FOLDER

It needs Chromium. Each page has to be free of errors and to ask the network for nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes

from backhand import TabularClassifier, TabularRegressor, Watcher
from backhand.cli.app import run

sys.path.insert(0, str(Path(__file__).parent))

from browser import Browser

SCREENS = {"desktop": (1200, 900, False), "phone": (390, 844, True)}


def customers(rows: int = 4000) -> tuple[pd.DataFrame, pd.Series]:
    """A table as businesses have it, made up: who leaves."""
    rng = np.random.default_rng(0)
    plan = rng.choice(["basic", "plus", "max"], rows)
    prices = {"basic": 10, "plus": 25, "max": 60}
    table = pd.DataFrame(
        {
            "age": rng.normal(45, 14, rows).clip(18, 90).round(),
            "tenure_months": rng.exponential(30, rows).round(),
            "city": rng.choice(
                ["Oslo", "Bergen", "Turku", "Ghent", "Lyon"], rows, p=[0.4, 0.25, 0.2, 0.1, 0.05]
            ),
            "plan": plan,
            "monthly_fee": ([prices[one] for one in plan] + rng.normal(0, 3, rows)).round(2),
            "support_calls": rng.poisson(1.2, rows),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1800, rows), "D"),
        }
    )
    z = -2.2 + 0.8 * table.support_calls - 0.03 * table.tenure_months + 0.02 * table.monthly_fee
    z += 1.5 * (table.city == "Lyon") + np.sin(table.age / 8) + rng.logistic(0, 0.6, rows)
    table.loc[rng.random(rows) < 0.08, "age"] = np.nan
    return table, pd.Series(np.where(z > 0, "yes", "no"), name="churn")


def reports(folder: Path) -> list[Path]:
    """Train the models, and write their reports."""
    penguins = pd.read_csv(Path(__file__).parents[1] / "examples" / "penguins.csv")
    island = penguins.pop("island")
    tables = {
        "binary": (TabularClassifier, *customers()),
        "several": (TabularClassifier, penguins, island),
        "regression": (TabularRegressor, *load_diabetes(return_X_y=True, as_frame=True)),
    }
    found = []
    for name, (maker, x, y) in tables.items():
        model = maker(random_state=0, callbacks=[Watcher()]).fit(x, y)
        found.append(folder / f"{name}.html")
        model.report(found[-1], x, y, held_out=True)
    out = folder / "digits"
    if run(["train", "digits", "--report", "--out", str(out)]):
        raise SystemExit("digits cannot be trained")
    return [*found, out / "report.html"]


def walks(folder: Path) -> list[Path]:
    """Train the models, and write the pages in which one walks through them."""
    found = [folder / "walk-digits.html", folder / "walk-table.html"]
    if run(["explore", "digits", "--out", str(found[0])]):
        raise SystemExit("digits cannot be explored")
    penguins = pd.read_csv(Path(__file__).parents[1] / "examples" / "penguins.csv")
    island = penguins.pop("island")
    TabularClassifier(random_state=0).fit(penguins, island).explore(found[1], penguins, island)
    return found


def main() -> None:
    """Write all pictures; exit with 1 if a page is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    faults = []
    pages = [*reports(folder), *walks(folder)]
    with Browser() as browser:
        for path in pages:
            name = path.stem if path.stem != "report" else path.parent.name
            for screen, (width, height, phone) in SCREENS.items():
                for dark in (False, True):
                    page = browser.open(path, width=width, height=height, phone=phone, dark=dark)
                    page.picture(folder / f"{name}-{screen}-{'dark' if dark else 'light'}.png")
                    faults += [f"{name}: {one}" for one in (*page.errors, *page.requests)]
    print("\n".join(faults) or f"{4 * len(pages)} pictures in {folder}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
