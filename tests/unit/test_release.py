"""What a release says of itself: one version, a citation, the licence."""

from __future__ import annotations

import json
import subprocess
import tomllib
from importlib.metadata import version

import pytest
import yaml
from chain_tools import ROOT

import moved
from fmrsflow import cli

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_version_stands_in_one_place(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == version("fmrsflow") == PROJECT["version"]
    assert PROJECT["version"] in (ROOT / "CHANGELOG.md").read_text()
    for name in ("CITATION.cff", ".zenodo.json"):
        assert "version" not in yaml.safe_load((ROOT / name).read_text())


def test_a_tag_of_this_commit_is_the_version():
    done = subprocess.run(
        ["git", "tag", "--points-at", "HEAD", "v[0-9]*"], cwd=ROOT, capture_output=True, text=True
    )
    tags = done.stdout.split()
    if not tags:
        pytest.skip("this commit has no tag of a version")
    assert tags == [f"v{PROJECT['version']}"]


def test_citation_and_archive_say_the_same():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    archive = json.loads((ROOT / ".zenodo.json").read_text())
    assert citation["title"] == archive["title"]
    assert citation["abstract"].strip() == archive["description"]
    assert citation["keywords"] == archive["keywords"]
    assert citation["license"] == archive["license"] == PROJECT["license"]
    names = [[one["name"] for one in who] for who in (citation["authors"], archive["creators"])]
    assert names == [[one["name"] for one in PROJECT["authors"]]] * 2
    # Required keys of Citation File Format 1.2.0.
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_numbers_move_with_an_entry_alone():
    """A file of numbers that was put on record anew, without a word on why."""
    changes = (ROOT / "CHANGELOG.md").read_text()
    newest = changes.partition("\n## ")[2].partition("\n## ")[0]
    lacking = [one for one in moved.entries() if one.replace(" ", " `") + "`" not in newest]
    assert not lacking, f"CHANGELOG.md, Numbers of the newest version: say why, and name {lacking}"
