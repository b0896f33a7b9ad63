"""`fmrsflow bundle SITE`: pack what a consortium needs of a site that keeps its raw data."""

from __future__ import annotations

import argparse
from collections import Counter

from fmrsflow.bundles import leaving, pack
from fmrsflow.files import write_bytes
from fmrsflow.remake import with_pruned
from fmrsflow.study import Study, study_option
from fmrsflow.words import count


def main(argv: list[str]) -> int:
    """Write <site>.fmrsflow.zip and list what it holds."""
    parser = argparse.ArgumentParser(prog="fmrsflow bundle", description=__doc__)
    parser.add_argument("site", help="name of the site")
    study_option(parser)
    parser.add_argument("--out", help="file to write (default: <site>.fmrsflow.zip)")
    arguments = parser.parse_args(argv)
    study = Study.load(arguments.study)
    site = study.site_named(arguments.site).name
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
