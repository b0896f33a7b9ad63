"""`fmrsflow bundle SITE`: pack what a consortium needs of a site that keeps its raw data.

With --for PROGRAM a folder of condition averages, water references and the basis instead, in the
form that LCModel, FSL-MRS or Osprey reads, with its control files, commands or job.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from fmrsflow.bundles import leaving, pack
from fmrsflow.errors import UsageError
from fmrsflow.files import write_bytes
from fmrsflow.remake import with_pruned
from fmrsflow.study import Study, study_option
from fmrsflow.words import count


def main(argv: list[str]) -> int:
    """Write <site>.fmrsflow.zip and list what it holds, or a folder for another program."""
    parser = argparse.ArgumentParser(
        prog="fmrsflow bundle", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("site", help="name of the site")
    study_option(parser)
    parser.add_argument(
        "--out", help="file or folder to write (default: <site>.fmrsflow.zip, <site>-<program>)"
    )
    parser.add_argument(
        "--for", dest="program", choices=PROGRAMS, help="averages and basis for this program"
    )
    arguments = parser.parse_args(argv)
    study = Study.load(arguments.study)
    site = study.site_named(arguments.site).name
    if arguments.program:
        return _hand(study, site, arguments.program, arguments.out)
    for output, name in leaving(study, site):
        if not output.place(name).exists():
            # Pruned: made again; what is lost is refused by `pack`.
            with_pruned(study, lambda: output.path(name))  # noqa: B023 (called at once)
    content, manifest = pack(study, site)
    out = arguments.out or f"{arguments.site}.fmrsflow.zip"
    write_bytes(out, content)
    kinds = Counter(name.rsplit("_", 1)[-1] for name in manifest["files"])
    scans = count(len(manifest["scans"]), "scan")
    print(f"{out}: {scans} of {arguments.site}, {len(content) / 1e6:.1f} MB")
    for kind, number in sorted(kinds.items()):
        print(f"  {number:6d}  {kind}")
    print(f"of persons and scanners leave: {manifest['of_persons']}")
    print("words of the site that leave; is each meant to?")
    for where, words in manifest["levels"].items():
        print(f"  {where}: {', '.join(words)}")
    print(f"stays at the site: {manifest['withheld']}")
    return 0


PROGRAMS = ("lcmodel", "fsl-mrs", "osprey")
"""Those of `other_programs.WRITERS`, whose science takes a second to import."""


def _hand(study: Study, site: str, program: str, out: str | None) -> int:
    """Write averages and basis of a site under the primary analysis for another program."""
    from fmrsflow.fit import other_programs

    folder = Path(out or f"{site}-{program}")
    if folder.exists():
        raise UsageError(f"{folder} is there already; name a new folder with --out")
    analysis = study.config["primary"]
    handed = with_pruned(study, lambda: other_programs.read_for(study, site, analysis))
    for name, content in list(other_programs.WRITERS[program](handed)):
        write_bytes(folder / name, content)
    print(f"{folder}: {count(len(handed.scans), 'scan')} of {site}, analysis {analysis}")
    return 0
