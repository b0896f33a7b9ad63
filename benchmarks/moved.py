"""`python benchmarks/moved.py RESULTS [--freeze]`: which numbers of a study moved, by how much.

RESULTS is the results folder of a run of the demo (`./run demo`) or of the tiny study of the tests
(tests/chain/test_numbers.py, which runs with all tests). On record are, for each of its analyses,
the changes of the consortium, concentrations at rest and the quality of every scan. `--freeze` puts
the run's numbers, and the digests of all tables of the demo (demo_tables.txt), on record;
CHANGELOG.md then needs an entry that names their digests and the reason (test_release.py).
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fmrsflow.tables import read_table, write_table

HERE = Path(__file__).parent
NUMBERS = HERE / "demo_numbers.tsv"
TINY = HERE.parent / "tests" / "chain" / "tiny_numbers.tsv"
TABLES = HERE / "demo_tables.txt"
MISMATCH = HERE.parent / "tests" / "chain" / "mismatch_small.tsv"

ON_RECORD = (NUMBERS, TINY, TABLES, MISMATCH)
"""Files whose change means that numbers moved."""

ANALYSES = ("main", "restricted", "polynomial")

KEYS = {
    "meta": ("metabolite", "estimator", "matched", "quantity"),
    "concentrations": ("scan", "metabolite"),
    "quality": ("scan",),
}
"""Table -> columns that tell its rows apart."""

COLUMNS = {
    "meta": ("change_percent", "se_percent"),
    "concentrations": ("value", "total_se"),
    "quality": ("snr_tcr", "fwhm_tcr_hz", "mrar_percent", "n_kept", "v_gm", "v_wm"),
}
"""Table -> its numbers; the second of the first two tables is the error of the first."""

METABOLITES = ("tNAA", "tCr", "tCho", "Glu", "Gln", "mI", "GABA")

Key = tuple[str, str, str, str]
"""Analysis, table, row, column."""


@dataclass(frozen=True)
class Move:
    """A number that is another; `errors` is by how many of its standard errors, None where the
    table has none."""

    key: Key
    before: float
    after: float
    errors: float | None

    @property
    def percent(self) -> float:
        """Of its earlier value."""
        return (
            100 * abs(self.after - self.before) / abs(self.before) if self.before else float("inf")
        )


def is_demo(results: Path) -> bool:
    """Whether results are of the demo, which has several analyses, or of the tiny study."""
    return (results / ANALYSES[1]).is_dir()


def numbers(results: Path) -> dict[Key, str]:
    """Numbers of a run, as its tables have them."""
    found = {}
    for analysis in ANALYSES if is_demo(results) else ANALYSES[:1]:
        for table, keys in KEYS.items():
            for row in read_table(results / analysis / "sites" / f"{table}.tsv"):
                if table == "concentrations" and not _shown(row):
                    continue
                name = " ".join(row[key] for key in keys)
                for column in COLUMNS[table]:
                    found[analysis, table, name, column] = row[column]
    return found


def _shown(row: dict) -> bool:
    """A molal concentration at rest of a metabolite that most people ask for."""
    return (row["condition"], row["quantity"]) == ("rest", "molal") and (
        row["metabolite"] in METABOLITES
    )


def frozen(path: Path) -> dict[Key, str]:
    """Numbers on record; none where there is no such file."""
    return {
        (row["analysis"], row["table"], row["row"], row["column"]): row["value"]
        for row in (read_table(path) if path.exists() else ())
    }


def moves(before: dict[Key, str], after: dict[Key, str]) -> Iterator[Move]:
    """Numbers that differ; one that is only there before or after is nan then."""
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key, "n/a"), after.get(key, "n/a")
        if old == new:
            continue
        value, error = COLUMNS[key[1]][:2]
        spread = before.get((*key[:3], error)) if key[1] != "quality" and key[3] == value else None
        yield Move(key, _float(old), _float(new), _errors(old, new, spread))


def _errors(old: str, new: str, spread: str | None) -> float | None:
    return abs(_float(new) - _float(old)) / _float(spread) if spread and _float(spread) else None


def _float(text: str) -> float:
    return float("nan") if text == "n/a" else float(text)


def summary(found: list[Move], n: int) -> list[str]:
    """A line a table and column: how many moved, by how much in the median, and the farthest."""
    lines = [f"{len(found)} of {n} numbers moved"]
    groups: dict[tuple[str, str, str], list[Move]] = {}
    for move in found:
        analysis, table, _, column = move.key
        groups.setdefault((analysis, table, column), []).append(move)
    for (analysis, table, column), own in groups.items():
        both = [one for one in own if one.percent == one.percent]
        gone = (
            f"; {len(own) - len(both)} there only before or after" if len(both) < len(own) else ""
        )
        if not both:
            lines.append(f"{analysis} {table} {column}: {len(own)}{gone}")
            continue
        far = max(both, key=lambda one: (one.errors or 0, one.percent))
        by = f", {far.errors:.2f} of its errors" if far.errors is not None else ""
        lines.append(
            f"{analysis} {table} {column}: {len(own)}, median "
            f"{statistics.median(one.percent for one in both):.2g} %; farthest {far.key[2]}: "
            f"{far.before:g} -> {far.after:g}{by}{gone}"
        )
    return lines


def entries() -> list[str]:
    """What CHANGELOG.md has to name: each file on record with its digest."""
    return [
        f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}" for path in ON_RECORD
    ]


def freeze(results: Path) -> None:
    """Put the numbers of a run on record, and the digests of the tables of the demo."""
    names = ("analysis", "table", "row", "column", "value")
    rows = [dict(zip(names, (*key, value))) for key, value in sorted(numbers(results).items())]
    if not is_demo(results):
        write_table(TINY, rows)
        return
    write_table(NUMBERS, rows)
    paths = {str(path.relative_to(results)): path for path in results.rglob("*.tsv")}
    lines = [
        f"{hashlib.sha256(paths[name].read_bytes()).hexdigest()}  {name}\n"
        for name in sorted(paths)
    ]
    TABLES.write_text("".join(lines))


def main() -> int:
    """Print what moved; 1 where anything did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="results folder of a run")
    parser.add_argument("--freeze", action="store_true", help="put its numbers on record")
    arguments = parser.parse_args()
    before = frozen(NUMBERS if is_demo(arguments.results) else TINY)
    after = numbers(arguments.results)
    found = list(moves(before, after))
    print("\n".join(summary(found, len(after))))
    if not arguments.freeze:
        return 1 if found else 0
    freeze(arguments.results)
    print("\nCHANGELOG.md, under Numbers, with the reason:")
    print("\n".join(f"  {one}" for one in entries()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
