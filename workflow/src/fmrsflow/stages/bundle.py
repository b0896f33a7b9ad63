"""`fmrsflow bundle SITE`: pack what a consortium needs of a site that keeps its raw data."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from fmrsflow.bundles import pack
from fmrsflow.errors import DataError
from fmrsflow.files import write_bytes
from fmrsflow.study import Study


def main(argv: list[str]) -> int:
    """Write <site>.fmrsflow.zip and list what it holds."""
    parser = argparse.ArgumentParser(prog="fmrsflow bundle", description=__doc__)
    parser.add_argument("site")
    parser.add_argument("--study", default="results/study.json", help="the frozen study")
    parser.add_argument("--out", help="default: <site>.fmrsflow.zip")
    arguments = parser.parse_args(argv)
    try:
        content, manifest = pack(Study.load(arguments.study), arguments.site)
    except DataError as error:
        print(f"fmrsflow bundle: {error}", file=sys.stderr)
        return 1
    out = arguments.out or f"{arguments.site}.fmrsflow.zip"
    write_bytes(out, content)
    kinds = Counter(name.rsplit("_", 1)[-1] for name in manifest["files"])
    print(f"{out}: {len(manifest['scans'])} scans of {arguments.site}, {len(content) / 1e6:.1f} MB")
    for kind, count in sorted(kinds.items()):
        print(f"  {count:6d}  {kind}")
    print(f"of persons and scanners leave: {manifest['of_persons']}")
    print(f"stays at the site: {manifest['withheld']}")
    return 0
