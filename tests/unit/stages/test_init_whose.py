"""`fmrsflow init`: no file of another person, session, run, task or voxel is given to a scan.

Each tree invites a mistake. What is not right by entities, sidecar or header is not taken, or is
taken and listed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fmrsflow.cli import main as command
from fmrsflow.fids import to_nifti
from fmrsflow.stages.check import main as check
from fmrsflow.stages.init import main
from fmrsflow.synthetic.writers import write_rda, write_sdat
from intake_tools import EVENTS, PAIN, notes, put, rows, spectra, svs

NONE = "n/a"


class Tree:
    """A BIDS dataset with a person for each invitation."""

    def __init__(self, root: Path):
        self.root, self.wanted, self.said = root, {}, []

    def scan(self, stem: str, wanted: str, kind="", said="", **meta) -> None:
        """Spectra, the name that their cell should have, and a note that is to be there."""
        sub, _, rest = stem.partition("_")
        session = rest.partition("_")[0] if rest.startswith("ses-") else ""
        folder = "/".join(filter(None, (sub, session, "mrs")))
        svs(self.root, f"{folder}/{stem}", PAIN | meta)
        self.wanted[f"{stem}_svs.nii.gz"] = wanted
        if kind:
            self.said.append((kind, f"{stem}_svs.nii.gz", said))

    def found(self, study: Path, column: str) -> dict[str, str]:
        """Make the study; name of each scan's spectra and of the file in a column."""
        assert main([str(study), "--bids", str(self.root), "--site", "A"]) == 0
        cells = {Path(row["mrs"]).name: row[column] for row in rows(study)}
        return {name: cell if cell == NONE else Path(cell).name for name, cell in cells.items()}

    def unsaid(self, study: Path) -> list[tuple[str, str, str]]:
        """Notes that are to be there and are not."""
        return [
            (kind, name, said)
            for kind, name, said in self.said
            if not any(name in one and said in one for one in notes(study, kind))
        ]


def water(root: Path, sub: str, stem: str, **meta) -> str:
    svs(root, f"{sub}/mrs/{stem}", PAIN | meta, "mrsref")
    return f"{stem}_mrsref.nii.gz"


def test_water_references(tmp_path):
    tree = Tree(tmp_path / "d")
    root, todo, taken = tree.root, "to do", "taken"
    exact = water(root, "sub-01", "sub-01_task-vis_run-1")
    tree.scan("sub-01_task-vis_run-01", exact)  # indices are numbers
    water(root, "sub-02", "sub-02_run-1")
    tree.scan("sub-02_task-vis_run-2", NONE, todo, "of other scans by entities")
    other = f"bids::sub-01/mrs/{exact}"
    tree.scan("sub-03", NONE, todo, "of another person", ReferenceSignal=other)
    water(root, "sub-03", "sub-03")
    put(tmp_path, "away/sub-04_mrsref.nii.gz")
    up = "../../../away/sub-04_mrsref.nii.gz"
    tree.scan("sub-04", NONE, todo, "not in this dataset", ReferenceSignal=up)
    water(root, "sub-05", "sub-05")
    gone = "bids::sub-05/mrs/sub-05_run-3_mrsref.nii.gz"
    tree.scan("sub-05", NONE, todo, "not there", ReferenceSignal=gone)
    itself = "bids::sub-06/mrs/sub-06_svs.nii.gz"
    tree.scan("sub-06", NONE, todo, "no water reference", ReferenceSignal=itself)
    for acq, te_s in (("a", 0.144), ("b", 0.022)):
        water(root, "sub-07", f"sub-07_acq-{acq}", EchoTime=te_s)
        water(root, "sub-08", f"sub-08_acq-{acq}")
    tree.scan("sub-07_task-vis", "sub-07_acq-b_mrsref.nii.gz", taken, "water reference of these")
    tree.scan("sub-08_task-vis", NONE, todo, "2 water references may")
    water(root, "sub-09", "sub-09_acq-w_run-1", IntendedFor="mrs/sub-09_task-a_svs.nii.gz")
    nine = ["bids::sub-09/mrs/sub-09_task-vis_svs.nii.gz"]
    tree.scan("sub-09_task-vis", water(root, "sub-09", "sub-09_acq-w_run-2", IntendedFor=nine))
    ten = ["bids::sub-10/mrs/sub-10_task-vis_svs.nii.gz"]
    tree.scan("sub-10_task-vis", water(root, "sub-10", "sub-10", IntendedFor=ten))
    tree.scan("sub-10_task-rest", NONE, todo, "IntendedFor")
    water(root, "sub-11", "sub-11")
    for voi in ("acc", "pcc"):
        tree.scan(f"sub-11_voi-{voi}", NONE, todo, "may belong to 2 voxels")
    svs(root, "sub-12/ses-1/mrs/sub-12_ses-1", PAIN, "mrsref")
    tree.scan("sub-12_ses-2", NONE)
    away = "bids:raw:sub-13/mrs/sub-13_mrsref.nii.gz"
    water(root, "sub-13", "sub-13")
    tree.scan("sub-13", NONE, todo, "not in this dataset", ReferenceSignal=away)
    one = "bids::sub-12/ses-1/mrs/sub-12_ses-1_mrsref.nii.gz"
    tree.scan("sub-12_ses-3", NONE, todo, "of another session", ReferenceSignal=one)
    shared = water(root, "sub-15", "sub-15_task-rest")
    tree.scan("sub-15_task-rest", shared)
    tree.scan("sub-15_task-vis", shared, taken, "of another task of the session")
    tree.scan("sub-16", NONE, todo, "not there", ReferenceSignal={"a": 1})
    proven = water(root, "sub-17", "sub-17", EchoTime=0.144)
    tree.scan("sub-17", proven, taken, "echo time 144 ms, not 22 ms")
    put(root, "sub-18/mrs/sub-19_mrsref.nii.gz")
    tree.scan("sub-18", NONE)
    tree.scan("sub-19", NONE)
    study = tmp_path / "study"
    assert tree.found(study, "ref") == tree.wanted
    assert tree.unsaid(study) == []


def test_a_reference_of_another_place_is_not_taken_by_entities_alone(tmp_path):
    tree = Tree(tmp_path / "d")
    for sub, shift in (("sub-01", 0.0), ("sub-02", 30.0)):
        tree.scan(f"{sub}_task-vis", NONE)
        water(tree.root, sub, sub)
        affine = np.diag([20.0, 20.0, 20.0, 1.0])
        for name, x in ((f"{sub}_task-vis_svs", 0.0), (f"{sub}_mrsref", shift)):
            affine[0, 3] = x
            fids = replace(spectra(1, False), affine=affine.copy(), te_s=0.022, tr_s=4.0)
            nib.save(to_nifti(fids), tree.root / sub / "mrs" / f"{name}.nii.gz")
    tree.wanted["sub-01_task-vis_svs.nii.gz"] = "sub-01_mrsref.nii.gz"
    tree.said.append(("to do", "sub-02_task-vis_svs.nii.gz", "another voxel"))
    study = tmp_path / "study"
    assert tree.found(study, "ref") == tree.wanted
    assert tree.unsaid(study) == []


def test_t1w(tmp_path):
    tree = Tree(tmp_path / "d")
    root, todo, taken = tree.root, "to do", "taken"
    mine = put(root, "sub-01/anat/sub-01_T1w.nii.gz").name
    tree.scan("sub-01", mine)
    tree.scan("sub-02", NONE)  # the only T1w without one
    here = put(root, "sub-03/ses-1/anat/sub-03_ses-1_T1w.nii.gz").name
    tree.scan("sub-03_ses-1", here)
    tree.scan("sub-03_ses-2", NONE, todo, "in another place")
    put(root, "sub-04/ses-1/anat/sub-04_T1w.nii.gz")  # as if it stood beside the sessions
    tree.scan("sub-04_ses-2", NONE)
    put(root, "sub-06/anat/sub-05_T1w.nii.gz")
    tree.scan("sub-05", NONE)
    tree.scan("sub-06", NONE)
    other = "bids::sub-01/anat/sub-01_T1w.nii.gz"
    tree.scan("sub-07", NONE, todo, "of another person", AnatomicalImage=other)
    put(root, "sub-07/anat/sub-07_T1w.nii.gz")
    put(root, "sub-08/anat/sub-08_T2w.nii.gz")
    two = "bids::sub-08/anat/sub-08_T2w.nii.gz"
    tree.scan("sub-08", NONE, todo, "no T1w", AnatomicalImage=two)
    one = "bids::sub-03/ses-1/anat/sub-03_ses-1_T1w.nii.gz"
    tree.scan("sub-03_ses-3", here, taken, "right only if", AnatomicalImage=one)
    put(root, "sub-09/anat/sub-09_acq-a_T1w.nii.gz")
    meant = put(root, "sub-09/anat/sub-09_acq-b_T1w.nii.gz").name
    put(root, "sub-09/anat/sub-09_acq-b_T1w.json", {"IntendedFor": "mrs/sub-09_svs.nii.gz"})
    tree.scan("sub-09", meant)
    put(root, "sub-10/anat/sub-10_T1w.nii.gz")
    put(root, "sub-10/anat/sub-10_T1w.json", {"IntendedFor": "mrs/sub-10_task-a_svs.nii.gz"})
    tree.scan("sub-10_task-a", "sub-10_T1w.nii.gz")
    tree.scan("sub-10_task-b", NONE)
    put(root, "sub-11/anat/sub-11_part-phase_T1w.nii.gz")
    tree.scan("sub-11", NONE)
    put(root, "sub-12/anat/sub-12_space-MNI_T1w.nii.gz")
    space = "bids::sub-12/anat/sub-12_space-MNI_T1w.nii.gz"
    tree.scan("sub-12", NONE, todo, "a space that is not", AnatomicalImage=space)
    study = tmp_path / "study"
    assert tree.found(study, "t1w") == tree.wanted
    assert tree.unsaid(study) == []
    left = notes(study, "left out")
    assert sum("disagree" in one for one in left) == 2


def test_events(tmp_path):
    tree = Tree(tmp_path / "d")
    root, todo, taken = tree.root, "to do", "taken"
    one = put(root, "sub-01/mrs/sub-01_task-vis_run-1_events.tsv", EVENTS).name
    tree.scan("sub-01_task-vis_run-01", one)
    tree.scan("sub-01_task-vis_run-2", NONE, todo, "events of other entities")
    tree.scan("sub-01_task-other", NONE)
    put(root, "sub-02/mrs/sub-02_events.tsv", EVENTS)
    tree.scan("sub-02_task-vis", NONE, todo, "names no task")
    for label in ("acq-a", "rec-b"):
        put(root, f"sub-03/mrs/sub-03_task-vis_{label}_events.tsv", EVENTS)
    tree.scan("sub-03_task-vis_acq-a_rec-b", NONE, todo, "all apply")
    both = put(root, "sub-04/mrs/sub-04_task-vis_events.tsv", EVENTS).name
    for run in (1, 2):
        tree.scan(f"sub-04_task-vis_run-{run}", both, taken, "which other scans may have too")
    put(root, "sub-05/ses-1/mrs/sub-05_ses-1_task-vis_events.tsv", EVENTS)
    tree.scan("sub-05_ses-2_task-vis", NONE)
    put(root, "sub-06/func/sub-06_task-vis_events.tsv", EVENTS)
    tree.scan("sub-06_task-vis", NONE)
    nearer = put(root, "sub-07/mrs/sub-07_task-vis_acq-a_events.tsv", EVENTS).name
    put(root, "sub-07/mrs/sub-07_task-vis_events.tsv", EVENTS)
    tree.scan("sub-07_task-vis_acq-a", nearer)
    study = tmp_path / "study"
    assert tree.found(study, "events") == tree.wanted
    assert tree.unsaid(study) == []
    assert not any("sub-01_task-vis_run-01" in line for line in notes(study, "taken"))


def test_bold_of_another_session_or_in_another_space_is_not_taken(tmp_path):
    tree = Tree(tmp_path / "d")

    def run(sub: str, labels: str) -> str:
        inner = f"derivatives/fmriprep/{sub}/func/{sub}{labels}_task-vis_space-T1w_"
        return put(tree.root, f"{inner}desc-preproc_bold.nii.gz").name

    run("sub-01", "_ses-1")
    tree.scan("sub-01_task-vis", NONE)
    run("sub-02", "_ses-2")
    put(tree.root, "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz")
    tree.scan("sub-02_ses-2_task-vis", NONE, "to do", "of another session")
    tree.scan("sub-03_task-vis", run("sub-03", ""), "taken", "the BOLD run")
    for number in (1, 2):  # whose events would be those of the run?
        put(tree.root, f"sub-03/func/sub-03_task-vis_run-{number}_bold.nii.gz")
        put(tree.root, f"sub-03/func/sub-03_task-vis_run-{number}_events.tsv", EVENTS)
    study = tmp_path / "study"
    assert tree.found(study, "bold") == tree.wanted
    assert tree.unsaid(study) == []
    assert {row["bold_events"] for row in rows(study)} == {NONE}


def test_what_is_no_proton_scan_or_has_anothers_labels_is_left_out(tmp_path):
    tree = Tree(tmp_path / "d")
    for stem in ("sub-1+2_task-a", "sub-01_run-1", "sub-02_ses-1_acq-2x", "sub-02_ses-12_acq-x"):
        tree.scan(stem, NONE)
    svs(tree.root, "sub-12/mrs/sub-12_task-b")
    svs(tree.root, "sub-01/mrs/sub-01_run-01")
    svs(tree.root, "sub-03/mrs/sub-03_nuc-31P")
    svs(tree.root, "sub-04/mrs/sub-04", PAIN | {"InversionTime": 0.7})
    svs(tree.root, "sub-05/mrs/sub-05_inv-1")
    # of two datasets of one name the json that lies nearest and has the most entities counts
    svs(tree.root, "sub-06/mrs/sub-06_task-a_acq-b", None)
    put(tree.root, "sub-06/mrs/sub-06_task-a_svs.json", PAIN | {"EchoTime": 0.022})
    put(tree.root, "sub-06/mrs/sub-06_acq-b_svs.json", PAIN | {"EchoTime": 0.144})
    put(tree.root, "participants.tsv", "participant_id\tage\nsub-1+2\t40\nsub-12\t30\n")
    tree.wanted["sub-06_task-a_acq-b_svs.nii.gz"] = NONE
    tree.wanted.pop("sub-1+2_task-a_svs.nii.gz")
    tree.wanted.pop("sub-01_run-1_svs.nii.gz")
    study = tmp_path / "study"
    assert main([str(study), "--bids", str(tree.root), "--site", "A"]) == 0
    labels = [(row["subject"], row["session"], row["run"]) for row in rows(study)]
    assert labels == [
        ("01", NONE, "01"),
        ("02", "1", NONE),
        ("02", "12", NONE),
        ("06", NONE, NONE),
        ("12", NONE, NONE),
    ]
    assert rows(study, "participants") == []
    left = notes(study, "left out")
    for name, said in (
        ("participants.tsv", "2 people"),
        ("sub-01_run-1_svs", "labels are those of"),
        ("sub-1+2", "the label of sub-12 too"),
        ("31P", "nucleus"),
        ("sub-04", "inversion"),
        ("sub-05", "inversion times"),
    ):
        assert any(name in one and said in one for one in left), name
    assert any("differ, and both apply" in one for one in notes(study, "to do"))
    assert any("does not say te_s" in one for one in notes(study, "taken"))


def test_units_of_two_sessions_are_two(tmp_path):
    root = tmp_path / "d"
    for session, acq in (("1", "2x"), ("12", "x")):
        stem = f"sub-01/ses-{session}/mrs/sub-01_ses-{session}_task-"
        svs(root, f"{stem}rest_acq-{acq}")
        svs(root, f"{stem}vis_acq-{acq}")
        put(root, f"{stem}vis_acq-{acq}_events.tsv", EVENTS)
    study = tmp_path / "study"
    assert main([str(study), "--bids", str(root), "--site", "A"]) == 0
    units = [(row["session"], row["unit"]) for row in rows(study)]
    assert units == [("1", "12x"), ("1", "12x"), ("12", "12xx"), ("12", "12xx")]


@pytest.mark.parametrize("events", [True, False])
def test_a_scan_at_rest_in_another_place_gives_no_response_with_the_task(tmp_path, events):
    root = tmp_path / "d"
    for sub, shift in (("sub-01", 0.0), ("sub-02", 30.0)):
        for task, x in (("rest", shift), ("vis", 0.0)):
            stem = f"{sub}/mrs/{sub}_task-{task}"
            svs(root, stem)
            affine = np.diag([20.0, 20.0, 20.0, 1.0])
            affine[0, 3] = x
            fids = replace(spectra(1, False), affine=affine, te_s=0.022, tr_s=4.0)
            nib.save(to_nifti(fids), root / f"{stem}_svs.nii.gz")
        if events:
            put(root, f"{sub}/mrs/{sub}_task-vis_events.tsv", EVENTS)
    study = tmp_path / "study"
    assert main([str(study), "--bids", str(root), "--site", "A"]) == 0
    units = [(row["subject"], row["unit"]) for row in rows(study)]
    assert units == [("01", "all" if events else NONE)] * 2 + [("02", NONE)] * 2
    todo = [one for one in notes(study, "to do") if "30 mm apart" in one]
    assert len(todo) == 1 and "sub-02_task-rest" in todo[0]


# --- folders of vendor files


def made(study: Path, root: Path, *more: str) -> dict[str, dict]:
    assert main([str(study), "--files", str(root), "--site", "A", *more]) == 0
    return {row["mrs"].removeprefix(f"{root.name}/"): row for row in rows(study)}


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.float32), np.eye(4)), path)


def rda(path: Path, seed: int, water: bool = False, **changes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rda(replace(spectra(seed, water), **changes), path)


def test_nobodys_number_is_given_twice(tmp_path):
    """A folder called 02 beside one that would be numbered so, and people who come later."""
    root, study = tmp_path / "d", tmp_path / "study"
    for number, person in enumerate(("02", "Doe_Jane")):
        rda(root / person / "a.rda", number)
    first = made(study, root)
    assert [row["subject"] for row in first.values()] == ["02", "03"]
    rda(root / "Adams_Ann" / "a.rda", 5)
    rda(root / "Doe_Jane" / "b.rda", 6)
    put(root, "participants.tsv", "participant_id\tage\nsub-02\t30\nsub-03\t40\n")
    sheet = (study / "config" / "scans.tsv").read_bytes()
    second = made(study, root)
    assert (study / "config" / "scans.tsv").read_bytes().startswith(sheet)
    labels = {name: (row["subject"], row["run"]) for name, row in second.items()}
    assert labels == {
        "02/a.rda": ("02", NONE),
        "Doe_Jane/a.rda": ("03", NONE),
        "Adams_Ann/a.rda": ("04", NONE),
        "Doe_Jane/b.rda": ("03", "2"),
    }
    ages = {row["subject"]: row["age"] for row in rows(study, "participants")}
    assert ages == {"02": "30"}  # sub-03 of their sheet is nobody that init numbered
    assert any("not looked for" in one for one in notes(study, "to do"))


def test_files_of_the_top_are_nobodys(tmp_path):
    """Scans of two people side by side; one has no reference, somebody's T1w lies there."""
    root = tmp_path / "d"
    root.mkdir()
    for number in (1, 2):
        write_sdat(spectra(number, False, 2), root / f"P0{number}_act.SDAT")
    write_sdat(spectra(11, True), root / "P01_ref.SDAT")
    image(root / "T1.nii.gz")
    put(root, "events.tsv", EVENTS)
    found = made(tmp_path / "study", root)
    refs = [row["ref"].rpartition("/")[2] for row in found.values()]
    assert refs == ["P01_ref.SDAT", "a"]
    assert {row["t1w"] for row in found.values()} == {NONE}
    assert {row["events"] for row in found.values()} == {NONE}
    todo = notes(tmp_path / "study", "to do")
    assert any("T1w of the top" in one for one in todo)
    assert any("events of the top" in one for one in todo)


def test_a_t1w_of_another_person_or_session_is_not_taken(tmp_path):
    root = tmp_path / "d"
    rda(root / "P01" / "day1" / "mrs" / "a.rda", 1)
    rda(root / "P01" / "day2" / "mrs" / "a.rda", 2)
    image(root / "P01" / "day1" / "anat" / "T1.nii.gz")
    rda(root / "P02" / "mrs" / "a.rda", 3)
    image(root / "P02" / "anat" / "T1.nii.gz")
    image(root / "P02" / "anat" / "T1_map.nii.gz")
    rda(root / "P03" / "day1" / "a.rda", 4)
    rda(root / "P03" / "day2" / "a.rda", 5)
    image(root / "P03" / "T1.nii.gz")
    image(root / "P04" / "T1.nii.gz")
    rda(root / "P05" / "visit1" / "a.rda", 6)
    image(root / "P05" / "visit2" / "anat" / "T1.nii.gz")
    found = made(tmp_path / "study", root)
    assert {name: row["t1w"] for name, row in found.items()} == {
        "P01/day1/mrs/a.rda": "d/P01/day1/anat/T1.nii.gz",
        "P01/day2/mrs/a.rda": NONE,
        "P02/mrs/a.rda": "d/P02/anat/T1.nii.gz",
        "P03/day1/a.rda": NONE,
        "P03/day2/a.rda": NONE,
        "P05/visit1/a.rda": NONE,
    }
    todo = notes(tmp_path / "study", "to do")
    assert sum("T1w of the top or of another session" in one for one in todo) == 4


def test_the_only_scan_takes_no_t1w_of_a_folder_of_another_person(tmp_path):
    root = tmp_path / "d"
    rda(root / "P01" / "a.rda", 1)
    image(root / "P02" / "T1.nii.gz")
    put(root, "P02/events.tsv", EVENTS)
    (row,) = made(tmp_path / "study", root).values()
    assert (row["t1w"], row["events"]) == (NONE, NONE)


def test_events_are_of_the_scan_that_their_name_says(tmp_path):
    root = tmp_path / "d"
    for number, name in enumerate(("rest", "vis", "mot")):
        rda(root / "P01" / f"{name}.rda", number)
        rda(root / "P02" / f"{name}.rda", 5 + number)
    put(root, "P01/vis_events.tsv", EVENTS)
    put(root, "P02/events.tsv", EVENTS)
    rda(root / "P03" / "rest.rda", 9)
    put(root, "P03/events.tsv", EVENTS)
    found = made(tmp_path / "study", root)
    events = {name: row["events"] for name, row in found.items() if row["events"] != NONE}
    assert events == {"P01/vis.rda": "d/P01/vis_events.tsv"}
    todo = notes(tmp_path / "study", "to do")
    assert any("P02/vis.rda" in one and "no name says whose" in one for one in todo)


def test_references_among_several_scans(tmp_path):
    """One for two scans of its voxel; two that differ in echo time; none known by place."""
    root = tmp_path / "d"
    for name, seed in (("a", 1), ("b", 2)):
        rda(root / "P01" / f"{name}.rda", seed)
    rda(root / "P01" / "x.rda", 3, True)
    (root / "P03").mkdir()
    for name, seed, wet in (("a", 1, False), ("b", 2, False), ("x", 3, True)):
        fids = replace(spectra(seed, wet), affine=None, header={"Manufacturer": "Siemens"})
        nib.save(to_nifti(fids), root / "P03" / f"{name}.nii.gz")
    rda(root / "P02" / "scan.rda", 4)
    rda(root / "P02" / "x.rda", 5, True)
    rda(root / "P02" / "y.rda", 6, True, te_s=0.144)
    rda(root / "P04" / "scan.rda", 7)
    rda(root / "P04" / "y.rda", 8, True, te_s=0.144)
    rda(root / "P05" / "run1.rda", 9)
    rda(root / "P05" / "run2.rda", 10)
    rda(root / "P05" / "run2_ref.rda", 11, True)
    found = made(tmp_path / "study", root)
    refs = {name: row["ref"] for name, row in found.items()}
    assert refs["P01/a.rda"] == refs["P01/b.rda"] == "d/P01/x.rda"
    assert refs["P02/scan.rda"] == "d/P02/x.rda"
    assert refs["P03/a.nii.gz"] == refs["P03/b.nii.gz"] == refs["P04/scan.rda"] == NONE
    taken, todo = (notes(tmp_path / "study", kind) for kind in ("taken", "to do"))
    assert sum("other scans of that voxel may have it" in one for one in taken) == 2
    assert sum("P03" in one and "none is taken" in one for one in todo) == 2
    assert refs["P05/run2.rda"] == "d/P05/run2_ref.rda"
    assert any("P05/run1.rda" in one and "its name is that of run2.rda" in one for one in taken)
    assert any("P04" in one and "144 ms, not 35 ms" in one for one in todo)


def test_references_in_folders_of_their_own(tmp_path):
    """A folder a scan, as in Osprey's example data; folders of other scans give none."""
    root = tmp_path / "d"
    visit = root / "sub-01" / "ses-01" / "mrs"
    rda(visit / "sub-01_press" / "act.rda", 1)
    rda(visit / "sub-01_press_ref" / "ref.rda", 2, True)
    rda(visit / "sub-01_steam" / "act.rda", 3)
    rda(visit / "other_ref" / "ref.rda", 4, True)
    rda(root / "P02" / "act.rda", 5)
    rda(root / "P02_ref" / "ref.rda", 6, True)
    refs = {Path(name).parent.name: row["ref"] for name, row in made(tmp_path / "s", root).items()}
    assert refs["sub-01_press"] == "d/sub-01/ses-01/mrs/sub-01_press_ref/ref.rda"
    assert refs["sub-01_steam"] == refs["P02"] == NONE


def test_a_reference_by_name_that_holds_no_water_is_none(tmp_path):
    root = tmp_path / "d"
    rda(root / "P01" / "press.rda", 1)
    rda(root / "P01" / "press_w.rda", 2)
    (row,) = made(tmp_path / "study", root).values()
    assert row["ref"] == NONE
    assert any(
        "neither a scan nor a reference" in one for one in notes(tmp_path / "study", "left out")
    )


def test_several_people_below_one_folder_are_told(tmp_path):
    root = tmp_path / "d"
    rda(root / "group" / "Doe" / "a.rda", 1)
    rda(root / "group" / "Roe" / "a.rda", 2)
    made(tmp_path / "study", root)
    assert any("taken as one person" in one for one in notes(tmp_path / "study", "to do"))


def test_a_file_that_tells_no_field_leaves_the_cell_empty(tmp_path, monkeypatch, capsys):
    """LCModel RAW: whatever its reader assumes is not what the scanner was."""
    root, study = tmp_path / "d", tmp_path / "study"
    (root / "P01").mkdir(parents=True)
    (fid,) = spectra(1, False).data[0]
    points = "\n".join(f"{one.real:.6e} {-one.imag:.6e}" for one in fid)
    (root / "P01" / "a.RAW").write_text(f" $NMID ECHOT=30.0 $END\n{points}\n")
    more = [f"--protocol={cell}" for cell in ("spectral_width_hz=2000", "sequence=PRESS")]
    more += ["--protocol=tr_s=2", "--protocol=vendor=GE"]
    made(study, root, *more)
    (site,) = rows(study, "sites")
    assert (site["field_t"], site["vendor"], site["spectral_width_hz"]) == (NONE, "GE", "2000")
    assert any("no header says field_t" in one for one in notes(study, "to do"))
    monkeypatch.chdir(study)
    assert check([]) == 1
    assert "field_t is empty" in capsys.readouterr().err
    made(study, root, *more, "--protocol=field_t=7")
    (site,) = rows(study, "sites")
    assert (site["field_t"], site["vendor"], site["spectral_width_hz"]) == ("7", "GE", "2000")
    assert check([]) == 0


def test_a_column_that_a_sheet_lacks_is_put_behind_its_last(tmp_path):
    root, study = tmp_path / "d", tmp_path / "study"
    rda(root / "P01" / "a.rda", 1)
    made(study, root)
    sheet = study / "config" / "sites.tsv"
    plain = "site\tvendor\tfield_t\tsequence\tte_s\ttr_s\tprotocol\r\n"
    plain += "Z\tGE\t3\tPRESS\t0.03\t2\town\r\n"
    sheet.write_bytes(plain.encode())
    made(study, root, "--protocol", "transients=96")
    first, second = rows(study, "sites")
    assert (first["site"], first["transients"]) == ("Z", NONE)
    assert (second["site"], second["transients"]) == ("A", "96")
    assert sheet.read_bytes().count(b"\r\n") == 3


def test_the_second_protocol_of_a_folder_is_a_site_of_its_own(tmp_path, capsys):
    """In two calls without editing; no scan is told another echo time than its own."""
    root, study = tmp_path / "d", tmp_path / "study"
    for number, person in enumerate(("P01", "P02")):
        rda(root / person / "a.rda", number)
    rda(root / "P01" / "b.rda", 5, te_s=0.144)
    made(study, root)
    said = capsys.readouterr().out
    assert "NOT IN THE STUDY: 1 scan of another protocol" in said and "TE 144 ms" in said
    (line,) = [one for one in said.splitlines() if "--protocol te_s=0.144" in one]
    assert command(line.partition("fmrsflow ")[2].split()) == 0
    te = {row["site"]: row["te_s"] for row in rows(study, "sites")}
    assert te == {"A": "0.035", "A2": "0.144"}
    where = {row["mrs"]: (row["site"], row["subject"]) for row in rows(study)}
    assert where["d/P01/b.rda"] == ("A2", "P01") and len(where) == 3
    assert any("the same `person`" in one for one in notes(study, "to do"))


def test_a_folder_of_vendor_files_needs_no_editing(tmp_path, monkeypatch, capsys):
    root, study = tmp_path / "d", tmp_path / "study"
    rda(root / "P01" / "rest.rda", 1)
    rda(root / "P01" / "vis.rda", 2)
    put(root, "P01/vis_events.tsv", EVENTS)
    made(study, root)
    assert rows(study, "participants") == []
    monkeypatch.chdir(study)
    assert check([]) == 0
    assert "1 site, 2 scans" in capsys.readouterr().out


def test_data_that_are_no_data_are_listed_and_text_is_not(tmp_path):
    """Downloads, copies and exports that went wrong: no scan vanishes without a word."""
    root, study = tmp_path / "d", tmp_path / "study"
    rda(root / "P01" / "a.rda", 1)
    image(root / "P01" / "anatomy.nii.gz")
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    for name, content in (
        ("P02/a.SDAT", pointer),
        ("P03/a.rda", b""),
        ("P04/a.7", b"<!DOCTYPE html><html>"),
        ("P05/a.data", b"raw"),
        ("P06/notes.md", b"she slept"),
        ("P06/script.m", b"x = 1;"),
        ("P06/empty.txt", b""),
        ("top.dcm", bytes(128) + b"DICM"),
    ):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    (root / "P07").mkdir()
    (root / "P07" / "a.rda").symlink_to(root / "nowhere.rda")
    assert [*made(study, root)] == ["P01/a.rda"]
    left = {one.partition(": ")[0]: one for one in notes(study, "left out")}
    for name, said in (
        ("P01/anatomy.nii.gz", "no T1w by its name"),
        ("P02/a.SDAT", "pointer of Git LFS"),
        ("P03/a.rda", "is empty"),
        ("P04/a.7", "web page"),
        ("P05/a.data", "DATA/LIST"),
        ("P07/a.rda", "link to nothing"),
        ("top.dcm", "DICOM at the top"),
    ):
        assert said in left.pop(f"d/{name}"), name
    assert left == {}


@pytest.mark.parametrize("damage", [b"", b"\x1f\x8b\x08broken", b"\0" * 400])
def test_a_damaged_image_stops_nothing(tmp_path, damage):
    root = tmp_path / "d"
    rda(root / "P01" / "a.rda", 1)
    (root / "P01" / "T1.nii.gz").write_bytes(damage)
    (row,) = made(tmp_path / "study", root).values()
    assert row["t1w"] == NONE
