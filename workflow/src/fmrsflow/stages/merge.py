"""`fmrsflow merge BUNDLE...`: the consortium's tables and pages from sites' bundles alone."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path

from fmrsflow import cli
from fmrsflow.bundle_merge import Bundle, combine, differences, duplicates, unpack
from fmrsflow.errors import DataError, MachineFault
from fmrsflow.files import write_bytes
from fmrsflow.provenance import write_dataset
from fmrsflow.scratch import scratch
from fmrsflow.sheets import StudyError, read_plan
from fmrsflow.study import Study, batches
from fmrsflow.words import count


def main(argv: list[str]) -> int:
    """Check all bundles, unpack them, run sites and report for each analysis."""
    parser = argparse.ArgumentParser(prog="fmrsflow merge", description=__doc__)
    parser.add_argument("bundles", nargs="+", help="bundles of different sites")
    parser.add_argument("--results", default="results", help="folder of the outputs; new or empty")
    parser.add_argument(
        "--allow-differences",
        action="store_true",
        help="merge in spite of other settings or software, which are listed all the same",
    )
    parser.add_argument(
        "--keep-going", action="store_true", help="leave out bundles that are refused"
    )
    parser.add_argument(
        "--preregistration",
        metavar="FILE",
        help="what was registered (docs/answer.md#preregistration)",
    )
    arguments = parser.parse_args(argv)
    results = Path(arguments.results)
    plan, problems = {}, []
    if arguments.preregistration:
        plan = read_plan(arguments.preregistration, problems)
    if problems:
        raise StudyError(problems)
    try:
        taken = "is not empty" if results.exists() and any(results.iterdir()) else ""
    except OSError as error:  # a file, or a folder that must not be read
        taken = f"cannot be used ({error.strerror})"
    if taken:
        print(f"fmrsflow merge: {results} {taken}; name a new folder", file=sys.stderr)
        return 2
    bundles = _checked(arguments.bundles, arguments.allow_differences, arguments.keep_going)
    if not bundles:
        return 1
    study = combine(bundles, str(results), plan)
    for bundle in bundles:
        for name, content in bundle.files.items():
            write_bytes(results / name, content)
    frozen = results / "study.json"
    write_bytes(frozen, study.save_text().encode())
    write_dataset(study)
    analyses = list(study.config["analyses"])
    keys = {
        site: batches([scan.key for scan in study.scans_of(site)], 50)
        for site in dict.fromkeys(scan.site for scan in study.scans)
    }
    n_scans, names = (
        len(study.scans),
        {site: one.name for one in bundles for site in one.study.sites},
    )
    del bundles, study  # their content is on disk; the workers would carry it
    if code := _ended(_tables, frozen, analyses):
        _tell(_alone(frozen, names, _tables))
        return code
    if sites := _without_pages(frozen, analyses, keys):
        _tell(names[site] for site in sites)
        return 1
    if code := _ended(_group_pages, frozen, analyses):
        _tell(_alone(frozen, names, _tables, _group_pages))
        return code
    print(
        f"{count(len(names), 'bundle')}, {count(n_scans, 'scan')}: {results}/{analyses[0]}/report"
    )
    return 0


def _tables(frozen: Path, analyses: list[str]) -> int:
    """Make the tables of a merged study; the exit code of the first command that has one."""
    calls = [["sites", name] for name in analyses] + [["sites", "--multiverse"]]
    calls += [["bold", "--analysis", name] for name in analyses]
    codes = (cli.main([command, "--study", str(frozen), *what]) for command, *what in calls)
    return next((code for code in codes if code), 0)


def _without_pages(frozen: Path, analyses: list[str], keys: dict[str, list]) -> list[str]:
    """Make the pages of all scans; sites of scans that have none.

    Parameters
    ----------
    keys : dict
        Site -> batches of keys of its scans.

    Raises
    ------
    MachineFault
        A process was killed.
    """
    jobs = [
        (site, ["report", "--study", str(frozen), name, *some])
        for name in analyses
        for site, own in keys.items()
        for some in own
    ]
    try:
        with ProcessPoolExecutor() as pool:
            codes = list(pool.map(partial(_ended, cli.main), [call for _, call in jobs]))
    except BrokenProcessPool:  # by the system, for want of memory; which bundle's is not known
        raise MachineFault(
            "a process that made pages was killed (is there memory?); merge again into a new folder"
        ) from None
    return list(dict.fromkeys(site for (site, _), code in zip(jobs, codes) if code))


def _group_pages(frozen: Path, analyses: list[str]) -> int:
    """Make the pages of sites and consortium; the first exit code that is not 0."""
    codes = (cli.main(["report", "--study", str(frozen), name]) for name in analyses)
    return next((code for code in codes if code), 0)


def _ended(make: Callable[..., int], *arguments) -> int:
    """Exit code, 1 where it ended in a fault of the program, whose trace goes to the log."""
    try:
        return make(*arguments)
    except Exception:  # met by what no check at the door foresees
        traceback.print_exc()
        return 1


def _tell(bundles: Iterable[str]) -> None:
    for name in bundles:
        print(
            f"fmrsflow merge: {name}: tables or pages of it by itself cannot be made (above); "
            "leave it out, or ask the site again",
            file=sys.stderr,
        )


def _alone(frozen: Path, names: dict[str, str], *steps: Callable[..., int]) -> Iterator[str]:
    """Bundles of whose site by itself one of the steps cannot be done either.

    Parameters
    ----------
    names : dict
        Site -> name of its bundle.
    """
    study = Study.load(frozen)
    for site, name in names.items():
        with scratch() as folder:
            # Bootstraps take most of the time and meet no fault of a file.
            quick = {**study.config["sites"], "bootstraps": 0}
            config = {**study.config, "results": str(folder), "sites": quick}
            for entry in frozen.parent.glob(f"*/{site}"):
                (folder / entry.parent.name).mkdir(exist_ok=True)
                (folder / entry.parent.name / site).symlink_to(entry.resolve())
            part = replace(
                study,
                config=config,
                sites={site: study.sites[site]},
                scans=tuple(study.scans_of(site)),
                participants=tuple(row for row in study.participants if row["site"] == site),
            )
            alone = folder / "study.json"
            write_bytes(alone, part.save_text().encode())
            if any(_ended(step, alone, list(study.config["analyses"])) for step in steps):
                yield name


def _checked(paths: list[str], allow: bool, keep_going: bool) -> list[Bundle]:
    """The bundles to merge; none where a problem forbids it. `keep_going` leaves out those that
    cannot be read, not those that contradict each other: which of two is right, a person says."""
    bundles, problems = [], []
    for path in paths:
        try:
            bundles.append(unpack(path))
        except DataError as error:
            if keep_going:
                print(f"fmrsflow merge: left out: {error}", file=sys.stderr)
            else:
                problems.append(str(error))
    if keep_going and not bundles:
        problems.append("no bundle is left")
    problems += duplicates(bundles)
    differing = differences(bundles) if bundles else []
    for row in differing:
        print("\t".join(f"{key}: {value}" for key, value in row.items()), file=sys.stderr)
    if differing and not allow:
        problems.append(
            f"{count(len(differing), 'difference')} of settings or software (above); rerun the "
            "sites with one configuration and one lock file, or give --allow-differences"
        )
    for problem in problems:
        print(f"fmrsflow merge: {problem}", file=sys.stderr)
    return [] if problems else bundles
