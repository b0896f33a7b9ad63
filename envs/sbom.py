"""Software bill of materials of the image (CycloneDX 1.6): what envs/core-lock.txt pins, Debian's
packages of the image, and the base that it was built on.

    python3 -m venv sbom && sbom/bin/pip install --require-hashes -r envs/sbom-lock.txt
    podman run --rm --entrypoint cat fmrsflow /opt/fmrsflow/apt.tsv > apt.tsv
    sbom/bin/python envs/sbom.py --commit COMMIT --apt apt.tsv --base NAME@sha256:... > bill.json

Nothing is looked up: what is not given is left out.
"""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parents[1]
DIGEST = re.compile(r"(?P<name>[^@\s]+)@sha256:(?P<digest>[0-9a-f]{64})")


def bill(commit: str, apt: str, base: str) -> Bom:
    """The bill.

    Parameters
    ----------
    commit : str
        Of the checkout; "" where it is not known.
    apt : str
        Rows `package, version, architecture` parted by tabs, as the image holds them.
    base : str
        Name of the base, with `@sha256:` and its digest where that is known.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bom = Bom()
    bom.metadata.component = Component(
        name=project["name"],
        version=project["version"],
        type=ComponentType.APPLICATION,
        bom_ref=project["name"],
        properties=[Property(name="commit", value=commit)] if commit else [],
    )
    for component in (*_pins(), *_debian(apt), *_base(base)):
        bom.components.add(component)
        bom.register_dependency(bom.metadata.component, [component])
    return bom


def _pins() -> Iterator[Component]:
    """Python packages, by the first word of their entries: `name==version`."""
    text = (ROOT / "envs" / "core-lock.txt").read_text()
    for name, version in sorted(set(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE))):
        yield _library("pypi", name, version)


def _debian(rows: str) -> Iterator[Component]:
    for row in rows.splitlines():
        name, version, architecture = row.split("\t")
        yield _library("deb", name, version, "debian", {"arch": architecture})


def _library(kind: str, name: str, version: str, space: str = "", more: dict | None = None):
    url = PackageURL(kind, space or None, name, version, more)
    return Component(
        name=name, version=version, type=ComponentType.LIBRARY, purl=url, bom_ref=str(url)
    )


def _base(base: str) -> Iterator[Component]:
    if not base:
        return
    known = DIGEST.fullmatch(base)
    digest = [HashType(alg=HashAlgorithm.SHA_256, content=known["digest"])] if known else []
    name = known["name"] if known else base
    yield Component(name=name, type=ComponentType.CONTAINER, hashes=digest, bom_ref=f"base:{name}")


def main() -> None:
    """Print the bill that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--commit", default="", help="commit of the checkout")
    parser.add_argument("--apt", type=Path, help="apt.tsv of the image")
    parser.add_argument("--base", default="", help="base of the image, as NAME@sha256:DIGEST")
    arguments = parser.parse_args()
    apt = arguments.apt.read_text() if arguments.apt else ""
    print(JsonV1Dot6(bill(arguments.commit, apt, arguments.base)).output_as_string(indent=2))


if __name__ == "__main__":
    main()
