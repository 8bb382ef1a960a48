"""Writes the generated parts of docs/performance.md and draws its plots, from the raw figures beside them."""

import argparse
import shutil
import sys
from pathlib import Path

import bars
from document import filled
from figures import Figures
from machine import ROOT
from plots import PLOTS, draw
from tables import TABLES
from text import not_measured

HERE = Path(__file__).resolve().parent


def main():
    quick = parse_arguments().quick
    document, folder = places(quick)
    figures = Figures.read(folder)
    drawn = draw(figures, folder)
    parts = {"bars": list(bars.table(figures))}
    parts |= {name: list(table(figures)) for name, table in TABLES.items()}
    parts |= {f"plot-{name}": image(name, plot, folder, document) for name, plot in PLOTS.items() if name in drawn}
    parts |= {f"plot-{name}": not_measured(" ".join(plot.needs)) for name, plot in PLOTS.items() if name not in drawn}
    before = document.read_text()
    try:
        after = filled(before, parts)
    except ValueError as wrong:
        sys.exit(f"{document.name}: {wrong}")
    if after != before:
        document.write_text(after)
    missed = sum(bars.MISSED in line for line in parts["bars"])
    print(f"{document}: {len(figures.files)} measurements, {len(drawn)} plots, {missed} bars missed")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="run write", description="Writes the tables and plots from what was measured.")
    parser.add_argument("--quick", action="store_true", help="from a quick run, into .quick/; never into docs/")
    return parser.parse_args()


def places(quick):
    """The document, and the folder of figures and plots."""
    document = ROOT / "docs" / "performance.md"
    if not quick:
        return document, ROOT / "docs" / "performance"
    folder = HERE / ".quick"
    folder.mkdir(exist_ok=True)
    return Path(shutil.copy(document, folder / document.name)), folder


def image(name, plot, folder, document):
    path = (folder / f"{name}.svg").relative_to(document.parent)
    return [f"![{plot.title}]({path.as_posix()})"]


if __name__ == "__main__":
    main()
