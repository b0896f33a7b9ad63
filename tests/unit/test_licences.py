"""docs/licences.md lists every package that running needs, and envs/sbom.py writes a valid bill.

The list is made from the metadata of the installed packages: `python tests/unit/test_licences.py`
mends it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, files, metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "docs" / "licences.md"
UNKNOWN = "not stated"
BASE = "docker.io/library/python"


def pins() -> dict[str, str]:
    """Name -> version of what envs/core-lock.txt pins."""
    text = (ROOT / "envs" / "core-lock.txt").read_text()
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE))


def licence(name: str) -> str:
    """What a package says of its licence: its expression, its classifiers, the first line of its
    licence, in this order."""
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return "of another system; not installed where this list was made"
    kinds = [one for one in told.get_all("Classifier") or () if one.startswith("License ::")]
    named = [one.split(" :: ")[-1] for one in kinds if one.count(" :: ") > 1]
    text = (told["License"] or "").strip().split("\n")[0]
    return told["License-Expression"] or "; ".join(named) or text or _first_line(name)


def _first_line(name: str) -> str:
    """That speaks of a licence, of the licence that lies in a package."""
    texts = [one.read_text() for one in files(name) or () if "license" in one.name.lower()]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    lines = [line for line in lines if re.search("licen[cs]e", line, re.IGNORECASE)]
    return lines[0] if lines else UNKNOWN


def listed() -> str:
    """The document."""
    head = (
        "# Licences of the packages\n\n"
        "What running fmrsflow needs (`envs/core-lock.txt`), by the metadata of each package; "
        "written by `python tests/unit/test_licences.py`. fmrsflow itself: BSD-3-Clause. The chart "
        "library in the pages, plotly.js, is under the MIT licence "
        "(`workflow/src/fmrsflow/report/templates/plotly-LICENSE.txt`).\n\n"
        "| package | version | licence |\n|---|---|---|\n"
    )
    rows = [f"| {name} | {version} | {licence(name)} |" for name, version in sorted(pins().items())]
    return head + "\n".join(rows) + "\n"


def test_the_list_names_every_pinned_package_with_its_version():
    rows = re.findall(r"^\| ([\w.-]+) \| (\S+) \| (.+) \|$", LIST.read_text(), re.MULTILINE)
    found = {name: version for name, version, _ in rows if name not in ("package", "---")}
    assert found == pins(), "run `python tests/unit/test_licences.py`"
    assert not [name for name, _, what in rows if what == UNKNOWN]


@pytest.mark.slow
def test_the_bill_of_materials_obeys_cyclonedx(tmp_path):
    """By its own schema, in the environment that envs/sbom-lock.txt pins."""
    import jsonschema
    from referencing import Registry, Resource

    python = tmp_path / "sbom" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "sbom"], check=True)
    pip = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]
    lock = str(ROOT / "envs" / "sbom-lock.txt")
    done = subprocess.run([python, *pip, "-r", lock], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no packages to install: {done.stderr[-200:]}")
    (tmp_path / "apt.tsv").write_text("libc6\t2.36-9+deb12u14\tamd64\n")
    command = [python, ROOT / "envs" / "sbom.py", "--commit", "abc1234", "--apt", "apt.tsv"]
    command += ["--base", f"{BASE}@sha256:{'0' * 64}"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    bill = json.loads(told)

    (folder,) = (tmp_path / "sbom" / "lib").glob("python*/site-packages/cyclonedx/schema/_res")
    schemas = {
        path.name: json.loads(path.read_text()) for path in folder.glob("*.SNAPSHOT.schema.json")
    }
    registry = Registry().with_resources(
        [(one["$id"], Resource.from_contents(one)) for one in schemas.values() if "$id" in one]
    )
    schema = schemas["bom-1.6.SNAPSHOT.schema.json"]
    jsonschema.Draft7Validator(schema, registry=registry).validate(bill)

    named = {one["name"]: one for one in bill["components"]}
    assert {name: named[name]["version"] for name in pins()} == pins()
    assert named["libc6"]["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64"
    assert named[BASE]["hashes"] == [{"alg": "SHA-256", "content": "0" * 64}]
    assert bill["metadata"]["component"]["properties"] == [{"name": "commit", "value": "abc1234"}]


if __name__ == "__main__":
    LIST.write_text(listed())
