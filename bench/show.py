"""What a run of the measurements found, as a table in Markdown and as a picture.

    bench/run --csv bench/result.csv
    python3 bench/show.py bench/result.csv --picture bench/result.svg

The table goes to standard output; docs/benchmarks.md has it. The picture has the works for which there are other ways: a bar for
each way, as long as its time, in one scale for each work.
"""

from __future__ import annotations

import argparse
import csv
from html import escape
from pathlib import Path
from typing import NamedTuple

OURS = "graph_fdw"
WIDTH, LEFT, RIGHT = 900, 330, 150          # of the picture, and what is beside the bars
BAR, GAP, HEAD = 16, 5, 34
COLOURS = {True: "#2f6f4f", False: "#b9c2cc"}


class Row(NamedTuple):
    work: str
    way: str
    value: float | None
    unit: str
    ratio: float | None
    must: float | None
    aim: float | None
    note: str


def read(file: Path) -> dict[str, list[Row]]:
    """The rows of a result, by work, in the order of the run."""
    works: dict[str, list[Row]] = {}
    with open(file, newline="", encoding="utf-8") as source:
        for line in csv.DictReader(source):
            numbers = [float(line[name]) if line[name] else None for name in ("value", "ratio", "must", "aim")]
            row = Row(line["work"], line["way"], numbers[0], line["unit"], *numbers[1:], line["note"])
            works.setdefault(row.work, []).append(row)
    return works


def shown(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    digits = {"s": 2, "MB": 1}.get(unit, 0)
    return f"{value:,.{digits}f} {unit}".strip()


def ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def limit(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def table(works: dict[str, list[Row]]) -> str:
    lines = ["| | median | ratio | must | aim |", "|---|--:|--:|--:|--:|"]
    for work, rows in works.items():
        lines.append(f"| **{work}** | | | | |")
        for row in rows:
            bold = "**" if row.must is not None and row.ratio is not None else ""
            way = row.way.replace("|", "\\|")
            lines.append(f"| {way} | {shown(row.value, row.unit)} | {bold}{ratio(row.ratio)}{bold} "
                         f"| {limit(row.must)} | {limit(row.aim)} |")
    return "\n".join(lines)


def compared(rows: list[Row]) -> list[Row]:
    """Rows that are times of different ways to do the same."""
    timed = [row for row in rows if row.unit == "s" and row.value is not None]
    return timed if len(timed) > 1 and any(row.way == OURS for row in timed) else []


def bars(rows: list[Row], top: int) -> list[str]:
    longest = max(row.value or 0 for row in rows)
    parts = [f'<text x="16" y="{top + 20}" class="head">{escape(rows[0].work)}</text>']
    for number, row in enumerate(rows):
        y = top + HEAD + number * (BAR + GAP)
        length = max(2, (WIDTH - LEFT - RIGHT) * (row.value or 0) / longest)
        ours = row.way.startswith(OURS)
        behind = "" if row.ratio is None else f"  ({row.ratio:.2f})"
        parts.append(f'<text x="{LEFT - 8}" y="{y + 12}" class="{"ours" if ours else "way"}">{escape(row.way)}</text>'
                     f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{COLOURS[ours]}"/>'
                     f'<text x="{LEFT + length + 6:.1f}" y="{y + 12}" class="number">'
                     f'{escape(shown(row.value, row.unit) + behind)}</text>')
    return parts


def picture(works: dict[str, list[Row]]) -> str:
    groups = [rows for rows in map(compared, works.values()) if rows]
    height = 16 + sum(HEAD + len(rows) * (BAR + GAP) + 12 for rows in groups)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
             "<style>.head{font-weight:bold;font-size:13px}.way,.ours{text-anchor:end}.ours{font-weight:bold}</style>",
             f'<rect width="{WIDTH}" height="{height}" fill="white"/>']
    top = 8
    for rows in groups:
        parts += bars(rows, top)
        top += HEAD + len(rows) * (BAR + GAP) + 12
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, help="what bench/run wrote with --csv")
    parser.add_argument("--picture", type=Path, help="SVG file to write")
    arguments = parser.parse_args()
    works = read(arguments.result)
    if arguments.picture:
        arguments.picture.write_text(picture(works), encoding="utf-8")
    print(table(works))


if __name__ == "__main__":
    main()
