"""One door: no module but results.py opens what a stage wrote, and none but its writer seals."""

from __future__ import annotations

import ast
from pathlib import Path

import fmrsflow

PACKAGE = Path(fmrsflow.__file__).parent

OPENS = {"open", "read_text", "read_bytes", "read_table", "read_json", "read_npz", "safe_load"}
OPENS |= {"np.load", "nib.load", "json.load", "json.loads", "parse_table", "ZipFile", "load"}
OPENS |= {"open_regular", "read_regular", "text_of"}
"""Calls that open a file or parse what came out of one."""

ALLOWED = {
    "results.py": (OPENS, "the door"),
    "files.py": (
        {"open", "open_regular", "read_regular", "text_of", "json.loads"},
        "digest, user's JSON",
    ),
    "tables/__init__.py": ({"read_regular"}, "user's tables"),
    "study.py": ({"text_of", "json.loads"}, "study.json, which the start of a run writes"),
    "manifests.py": ({"read_regular", "json.loads"}, "Snakemake's outputs, which name results"),
    "bundles.py": ({"ZipFile", "json.loads"}, "archive that is written"),
    "bundle_merge.py": (
        {"ZipFile", "open", "open_regular", "json.loads"},
        "archives of other sites",
    ),
    "bundle_files.py": (
        {"ZipFile", "np.load", "json.loads", "parse_table"},
        "files of bundles, before they are results",
    ),
    "sheets.py": (
        {"text_of", "read_text", "safe_load", "read_table"},
        "configuration, sheets, schemas",
    ),
    "identity.py": ({"open"}, "scans of the study, compared"),
    "participants.py": ({"read_json"}, "sidecar of a sheet"),
    "sites/norms.py": ({"read_regular", "parse_table"}, "norms that a setting names"),
    "stages/plan.py": ({"read_table"}, "events that the user names"),
    "edge.py": ({"read_table"}, "events of the study"),
    "sites/foreign.py": ({"read_table"}, "table that the user names"),
    "images.py": ({"open", "nib.load"}, "images of the study"),
    "convert/child.py": ({"open", "read_text"}, "what the converter printed"),
    "convert/formats.py": ({"open"}, "vendor files"),
    "convert/causes.py": ({"open"}, "vendor files"),
    "convert/jmrui.py": ({"read_bytes"}, "vendor files"),
    "convert/mend.py": ({"read_bytes"}, "vendor files"),
    "convert/reader.py": ({"open", "read_bytes", "nib.load", "load"}, "vendor files"),
    "convert/averages.py": ({"open"}, "vendor files"),
    "tenancy.py": ({"open", "text_of"}, "lock and origin of a folder of results"),
    "fit/nuisance.py": ({"open", "read_bytes", "read_table", "json.loads"}, "a setting names them"),
    "stages/bold.py": ({"read_table", "read_json"}, "BOLD runs of the study"),
    "bold/mask.py": ({"read_text"}, "transform that a setting names"),
    "stages/check.py": ({"read_table"}, "events of the study"),
    "scan_designs.py": ({"read_table"}, "design that a setting names"),
    "basis/formats.py": (
        {"read_text", "read_npz", "json.loads"},
        "basis that a setting names",
    ),
    "basis/files.py": (
        {"open", "np.load", "json.loads"},
        "the basis format, for the door and users",
    ),
    "fit/engines.py": ({"open", "read_text"}, "what an external engine wrote"),
    "fids.py": ({"json.loads"}, "header of an image that is open"),
    "stages/view.py": ({"np.load", "load", "open"}, "file that the user names, after its check"),
    "stages/mismatch.py": ({"read_json", "read_table"}, "edition and sheet of a benchmark"),
    "mismatch/outcomes.py": ({"read_table", "read_text"}, "synthetic truth, logs of jobs"),
    "mismatch/benchmark.py": (
        {"parse_table", "read_bytes", "read_json"},
        "committed tables of the mismatch benchmark",
    ),
    "basis/systems.py": ({"read_text"}, "spin systems of the package"),
    "definitions.py": ({"read_bytes"}, "code of the package"),
    "provenance.py": ({"read_text", "read_bytes", "json.loads"}, "code of the package"),
    "report/render.py": ({"read_text", "read_bytes"}, "templates of the package"),
    "synthetic/plan.py": ({"read_text"}, "plans"),
    "synthetic/foreign_lines.py": ({"read_text"}, "measured macromolecules of the package"),
    "synthetic/head.py": ({"nib.load"}, "head of an installed package"),
    "convert/gains.py": ({"open"}, "vendor files"),
    "convert/p_file.py": ({"open"}, "vendor files"),
    "convert/twix.py": ({"open"}, "vendor files"),
    "forecast.py": ({"nib.load"}, "headers of images of the study"),
    "intake/dataset.py": ({"read_json"}, "a dataset that the user names"),
    "intake/found.py": ({"open"}, "tables of a folder that the user names"),
    "intake/people.py": ({"read_table"}, "a dataset that the user names"),
    "intake/protocol.py": ({"nib.load"}, "a dataset that the user names"),
    "intake/vendor.py": ({"nib.load"}, "a folder that the user names"),
    "intake/choices.py": ({"read_bytes"}, "a file of another program that the user names"),
    "intake/osprey.py": ({"json.loads"}, "a file of another program that the user names"),
    "intake/presets.py": ({"read_text", "safe_load"}, "presets of the package"),
    "intake/sheets.py": ({"read_bytes", "read_table"}, "sheets of the study"),
    "stages/init.py": ({"read_table"}, "list that an earlier call left"),
    "synthetic/consortium.py": ({"open"}, "truth that grows while it is written"),
    "arithmetic.py": ({"read_text"}, "/proc/cpuinfo"),
}
"""Modules that open files which no stage wrote: the calls that they use, and what they open."""

STUDY = "Study.load"
"""Reads study.json, wherever it is called."""


def calls(path: Path) -> set[str]:
    """Names of the calls of a module, with their module where `load` alone says little."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            whole = ast.unparse(node.func)
            last = whole.rpartition(".")[2]
            found.add(whole if last in ("load", "loads") else last)
    return found - {STUDY}


def modules() -> dict[str, set[str]]:
    """Calls of each module of the package."""
    return {str(path.relative_to(PACKAGE)): calls(path) for path in sorted(PACKAGE.rglob("*.py"))}


def test_results_are_opened_by_the_door_alone():
    opening = {name: found & OPENS for name, found in modules().items() if found & OPENS}
    allowed = {name: calls for name, (calls, _) in ALLOWED.items()}
    others = {name: found - allowed.get(name, set()) for name, found in opening.items()}
    assert {name: found for name, found in others.items() if found} == {}
    idle = {name: calls - opening.get(name, set()) for name, calls in allowed.items()}
    del idle["results.py"]
    assert {name: calls for name, calls in idle.items() if calls} == {}


def test_records_are_written_by_one_writer():
    """Bundles clean what leaves a site and seal it again, by the same function."""
    found = modules()
    assert [name for name in found if "_sealed" in found[name]] == ["results.py"]
    assert [name for name in found if "record_bytes" in found[name]] == ["bundles.py", "results.py"]
    writers = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("write_bytes", "write_json")
        and "record" in ast.unparse(node.args[0])
    ]
    # The synthetic study describes itself beside its data.
    assert writers == ["results.py", "synthetic/consortium.py"]
