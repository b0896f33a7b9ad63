"""The user's files: every error at once, with file, row, column and remedy."""

from __future__ import annotations

import pytest
import yaml

from fmrsflow.identity import same_measurements
from fmrsflow.sheets import StudyError, missing_files, read_config, read_study

SITES = """site	vendor	field_t	sequence	te_s	tr_s	protocol
A	Siemens	3	PRESS	0.03	2	standardised
B	Philips	7	sLASER	0.028	4	own
"""
SCANS = """site	subject	task	mrs	ref	events
B	01	vis	b/1.sdat	b/1w.sdat	b/1.tsv
A	01	vis	a/1.rda	a/1w.rda	a/1.tsv
"""
STAGES = ("preprocess", "basis", "fit", "concentration", "response")


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(sites=SITES, scans=SCANS, **changes):
        (tmp_path / "sites.tsv").write_text(sites)
        (tmp_path / "scans.tsv").write_text(scans)
        config = {
            "sites_sheet": "sites.tsv",
            "scans_sheet": "scans.tsv",
            "analyses": {"main": dict.fromkeys(STAGES, "usual")},
            "primary": "main",
            **{stage: {"usual": {}} for stage in STAGES},
        }
        return {**config, **changes}

    return write


def problems(config):
    with pytest.raises(StudyError) as caught:
        read_study(config)
    return caught.value.problems


def test_a_right_study_is_read_with_defaults_and_in_the_order_of_keys(files):
    study = read_study(files())
    assert [scan.key for scan in study.scans] == ["A/sub-01_task-vis", "B/sub-01_task-vis"]
    assert study.sites["B"].field_t == 7.0
    assert study.setting("concentration", "usual")["constants"] == "osprey"
    assert study.config["quality"] == {
        "max_fwhm_tcr_ppm": 0.094,
        "min_snr_tcr": 10.0,
        "implausible": "care",
    }


def test_the_former_limit_in_hz_is_refused_with_the_name_of_the_new_one(files):
    (problem,) = problems(files(quality={"max_fwhm_tcr_hz": 12.0}))
    assert "quality: max_fwhm_tcr_hz is now max_fwhm_tcr_ppm" in problem
    assert "12 Hz at 3 T are 0.094 ppm" in problem


def test_all_errors_of_all_files_are_told_at_once(files):
    found = problems(
        files(
            sites=SITES.replace("Philips", "Philps").replace("0.03\t", "30\t"),
            scans=SCANS.replace("a/1w.rda", "../w.rda"),
            batch=0,
            primry="main",
        )
    )
    assert len(found) == 5
    assert any("sites.tsv row 3: vendor: 'Philps' is none of Siemens" in one for one in found)
    assert any("sites.tsv row 2: te_s: 30.0 is above 0.5" in one for one in found)
    assert any("scans.tsv row 3: ref: '../w.rda' leads out of data_root" in one for one in found)
    assert any("batch: 0 is below 1" in one for one in found)
    assert any("'primry'; did you mean 'primary'?" in one for one in found)


@pytest.mark.parametrize(
    ("sites", "scans", "message"),
    [
        (SITES, SCANS + SCANS.splitlines()[1] + "\n", "stands in row 2 too"),
        (SITES, SCANS.replace("subject", "sbject"), "unknown column 'sbject'; did you mean"),
        (SITES, SCANS.replace("subject", "sbject"), "column 'subject' is missing"),
        (SITES, SCANS.replace("B\t01", "B\t0_1"), "'0_1' holds other than letters and digits"),
        (SITES, SCANS.replace("B\t01", "Bb\t01"), "site Bb is not in sites.tsv"),
        (SITES, SCANS.replace("B\t01", "n/a\t01"), "site is empty"),
        (SITES, SCANS.replace("b/1.sdat", "b/$(touch x)\\"), "backslash"),
        (SITES.replace("\t2\t", "\ttwo\t"), SCANS, "'two' is not a number"),
        (SITES.replace("\t2\t", "\tnan\t"), SCANS, "nan is not a finite number"),
        (SITES + SITES.splitlines()[1] + "\n", SCANS, "site A stands twice"),
        ("", SCANS, "holds no row"),
    ],
)
def test_each_error_of_a_sheet_is_told_with_its_place(files, sites, scans, message):
    assert any(message in one for one in problems(files(sites=sites, scans=scans)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"analyses": {"main": {"fit": "usual"}}}, "names no setting of preprocess"),
        ({"analyses": {"main": dict.fromkeys(STAGES, "other")}}, "there is no setting 'other'"),
        ({"analyses": {"convert": dict.fromkeys(STAGES, "usual")}}, "that of a folder of results"),
        ({"primary": "best"}, "there is no analysis 'best'"),
        ({"fit": {"Bad-Name": {}}}, "small letters and digits"),
        ({"concentration": {"usual": {"constants": "osprei"}}}, "none of osprey"),
        ({"concentration": {"usual": {"assumed_gm": True}}}, "not a number"),
        ({"quality": {"min_snr_tcr": -1}}, "is below 0"),
        ({"quality": {"min_snr_tcr": float("inf")}}, "inf is not a finite number"),
        ({"fit": ["usual"]}, "table of named settings"),
        ({"sites_sheet": "none.tsv"}, "none.tsv: there is no such file (config.yaml: sites_sheet)"),
        (
            {"scans_sheet": "none.tsv", "only_sites": ["Z"]},
            "none.tsv: there is no such file (config.yaml: scans_sheet)",
        ),
    ],
)
def test_each_error_of_the_configuration_is_told(files, changes, message):
    assert any(message in one for one in problems(files(**changes)))


def test_only_the_chosen_sites_are_run(files):
    study = read_study(files(only_sites=["B"]))
    assert [scan.site for scan in study.scans] == ["B"]
    assert any("C is no site" in one for one in problems(files(only_sites=["C"])))


def test_missing_files_are_listed_and_no_error_of_the_sheets(files, tmp_path):
    study = read_study(files(data_root=str(tmp_path)))
    assert len(missing_files(study)) == 6


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", "!!python/object/apply:os.system [ls]"])
def test_yaml_that_is_no_configuration_is_told(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(StudyError, match=r"c\.yaml"):
        read_config(tmp_path / "c.yaml")


def test_a_plain_configuration_is_read(tmp_path):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"batch": 2}))
    assert read_config(tmp_path / "c.yaml") == {"batch": 2}


PEOPLE = "site\tsubject\tperson\nA\t01\tanna\nB\t01\tanna\n"
TWO = """site	subject	task	mrs	ref	t1w
A	01	vis	a/1.rda	a/1w.rda	a/1.nii
A	02	vis	a/2.rda	a/2w.rda	a/2.nii
B	01	vis	b/1.sdat	b/1w.sdat	b/1.nii
"""


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("a/1w.rda", "a/./1.rda", "row 2: ref: a/./1.rda is the scan itself (column mrs)"),
        ("a/1w.rda", "a/2.rda", "row 2: ref: a/2.rda is the scan of row 3 (column mrs)"),
        ("a/2.rda", "a//1.rda", "row 3: mrs: a//1.rda is the scan of row 2 too"),
        ("a/2w.rda", "a/1w.rda", "row 3: ref: a/1w.rda belongs to another person, that of row 2"),
        ("a/2.nii", "a/1.nii", "row 3: t1w: a/1.nii belongs to another person"),
        ("A\t02", "A\t1", "row 3: subject 1 of A, and 01 in row 2: one person under two labels"),
    ],
)
def test_a_file_or_label_that_counts_twice_is_told_with_both_rows(files, before, after, message):
    (problem,) = problems(files(scans=TWO.replace(before, after)))
    assert problem.startswith("scans.tsv ") and message in problem


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a/1w.rda", "a/1.7"),  # of the same P-file, as below
        ("b/1.nii", "a/1.nii"),  # one person who travelled
        ("A\t02\tvis\ta/2.rda\ta/2w.rda", "A\t01\trest\ta/2.rda\ta/1w.rda"),
    ],
)
def test_files_of_one_person_may_stand_in_several_rows(files, tmp_path, before, after):
    (tmp_path / "people.tsv").write_text(PEOPLE)
    scans = TWO.replace(before, after).replace("vis\ta/1.rda\ta/1.7", "vis\ta/1.7\ta/1.7")
    scans = scans.replace("a/2.nii", "a/1.nii") if "rest" in scans else scans
    assert len(read_study(files(scans=scans, participants_sheet="people.tsv")).scans) == 3


@pytest.mark.parametrize(
    ("people", "message"),
    [
        (PEOPLE.replace("anna", "NA"), "person 'NA' would make one person of all"),
        (PEOPLE.replace("B\t01", "A\t02"), "person anna of A stands in row 2 too"),
        (PEOPLE.replace("A\t01", "A\t1"), "subject 1 of A has no scan; the scans sheet writes 01"),
    ],
)
def test_people_who_would_become_one_or_nobody_are_told(files, tmp_path, people, message):
    (tmp_path / "people.tsv").write_text(people)
    found = problems(files(scans=TWO, participants_sheet="people.tsv"))
    assert any(one.startswith("people.tsv row") and message in one for one in found)


def test_people_without_scans_and_scans_without_people_are_no_error(files, tmp_path):
    (tmp_path / "people.tsv").write_text(PEOPLE.replace("B\t01", "B\t17"))
    assert read_study(files(scans=TWO, participants_sheet="people.tsv")).participants


BIDS = """participant_id	age	sex	group	diagnosis
sub-01	35-40	female	patients	free text
sub-02	31.9	M	controls	more
sub-77	20	M	controls	not scanned
"""
ASKED = {"covariates": ["age"], "groups": ["sex", "group"]}


def people_of(study):
    return {(row["site"], row["subject"]): row for row in study.participants}


def test_a_bids_sheet_is_of_the_site_that_names_it(files, tmp_path):
    (tmp_path / "a.tsv").write_text(BIDS)
    (tmp_path / "b.tsv").write_text(BIDS.replace("35-40", "n/a").replace("patients", "controls"))
    sheets = {"A": "a.tsv", "B": "b.tsv"}
    study = read_study(files(scans=TWO, participants_sheet=sheets, sites=SITES) | {"sites": ASKED})
    found = people_of(study)
    assert set(found) == {("A", "01"), ("A", "02"), ("B", "01")}  # nobody who was not scanned
    assert found["A", "01"] == {
        "site": "A", "subject": "01", "age": "35-40", "sex": "F", "group": "patients",
    }  # fmt: skip
    assert found["A", "02"]["age"] == "31" and "age" not in found["B", "01"]
    # Equal labels at two sites are two people.
    assert study.people()["B", "B/01"] == {"sex": "F", "group": "controls"}


def test_columns_that_no_setting_names_are_not_read(files, tmp_path):
    (tmp_path / "people.tsv").write_text(PEOPLE.replace("person", "person\tage\thobby").replace(
        "anna", "anna\t31\tchess"
    ))  # fmt: skip
    study = read_study(files(scans=TWO, participants_sheet="people.tsv"))
    assert all(set(row) <= {"site", "subject", "person"} for row in study.participants)
    assert "chess" not in study.save_text() and "31" not in str(study.participants)


def test_somebody_who_travelled_has_at_each_site_what_one_of_them_knows(files, tmp_path):
    (tmp_path / "people.tsv").write_text(
        "site\tsubject\tperson\tage\nA\t01\tanna\t31\nB\t01\tanna\tn/a\n"
    )
    config = files(scans=TWO, participants_sheet="people.tsv") | {"sites": {"covariates": ["age"]}}
    assert read_study(config).people()["B", "anna"] == {"age": "31"}


@pytest.mark.parametrize(
    ("sheet", "asked", "message"),
    [
        ("site\tsubject\tage\nA\t01\told\n", ASKED, "'old' is neither an age in years"),
        ("site\tsubject\tage\nA\t01\t30\n", ASKED, "no column group, which config.yaml names"),
        ("site\tsubject\tpersn\nA\t01\tx\n", {}, "'persn'; did you mean 'person'?"),
        ("site\tsubject\tbmi\nA\t01\tx\n", {"covariates": ["bmi"]}, "name the column in `groups`"),
        ("site\tsubject\tarm\nA\t01\t=1+1\n", {"groups": ["arm"]}, "is no group's name"),
        ("site\tsubject\nA\t01\n", {"groups": ["birth_date"]}, "tells who somebody is"),
        ("site\tsubject\nA\t01\n", {"covariates": ["vendor"]}, "vendor of sites.tsv is compared"),
        ("site\tsubject\nA\t01\n", {"groups": ["person"]}, "says who a row is of"),
        ("site\tsubject\nA\t01\n", {"interactions": ["age:sex"]}, "age is neither in"),
        ("site\tsubject\nA\t01\n", {"interactions": ["age"]}, "not of the form a:b"),
        ("site\tsubject\nA\t01\n", {"groups": "sex"}, "is not a list of columns"),
    ],
)
def test_people_who_cannot_be_compared_are_told(files, tmp_path, sheet, asked, message):
    (tmp_path / "people.tsv").write_text(sheet)
    found = problems(files(scans=TWO, participants_sheet="people.tsv") | {"sites": asked})
    assert any(message in one for one in found), found


def test_a_column_of_dates_is_no_group(files, tmp_path):
    rows = "".join(f"A\t{n:02d}\td{n}\n" for n in range(1, 20))
    (tmp_path / "people.tsv").write_text("site\tsubject\tvisit\n" + rows)
    found = problems(
        files(scans=TWO, participants_sheet="people.tsv") | {"sites": {"groups": ["visit"]}}
    )
    assert any("visit has 19 values in 19 rows: these are no groups" in one for one in found)


def test_one_file_under_two_names_is_told_and_files_of_one_size_are_not(files, tmp_path):
    scans = TWO.replace("a/2.rda", "copy.rda")
    study = read_study(files(scans=scans, data_root=str(tmp_path)))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    content = bytes(range(256)) * 100
    (tmp_path / "a/1.rda").write_bytes(content)
    (tmp_path / "b/1.sdat").write_bytes(b"x" + content[1:])
    (tmp_path / "copy.rda").write_bytes(content)
    (problem,) = same_measurements(study)
    shown = "a/1.rda (mrs of A/sub-01_task-vis) and copy.rda (mrs of A/sub-02_task-vis) have one"
    assert shown in problem
    allowed = read_study(files(scans=scans, data_root=str(tmp_path), same_content=True))
    assert same_measurements(allowed) == []


@pytest.mark.parametrize(
    ("same", "told"),
    [
        (("a/1.rda", "a/1w.rda"), True),  # the scan as its own reference
        (("a/1w.rda", "a/2w.rda"), True),  # of two people
        (("a/1w.rda", "b/1w.sdat"), False),  # of one who travelled; the data will tell
    ],
)
def test_a_reference_that_is_the_scan_or_of_another_person_is_told(files, tmp_path, same, told):
    (tmp_path / "people.tsv").write_text(PEOPLE)
    config = files(scans=TWO, data_root=str(tmp_path), participants_sheet="people.tsv")
    for name in same:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes(range(256)) * 100)
    assert len(same_measurements(read_study(config))) == told


def test_one_folder_under_two_names_is_told(files, tmp_path):
    study = read_study(files(scans=TWO.replace("a/2.rda", "copy"), data_root=str(tmp_path)))
    for number, name in ((1, "a/1.rda"), (2, "copy")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / f"{number}.IMA").write_bytes(bytes(range(200)))
    assert len(same_measurements(study)) == 1


def bids_sheet(t1w: str, ref: str = "x_ref.nii.gz", row: str = "A\t01\t2") -> str:
    mrs = "sub-01/ses-2/mrs/sub-01_ses-2_svs.nii.gz"
    return f"site\tsubject\tsession\tmrs\tref\tt1w\n{row}\t{mrs}\t{ref}\t{t1w}\n"


@pytest.mark.parametrize(
    ("sheet", "words"),
    [
        (bids_sheet("sub-02/anat/sub-02_T1w.nii.gz"), "t1w: the path says sub-02, and the row's"),
        (bids_sheet("sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz"), "t1w: the path says ses-1"),
        (
            bids_sheet("sub-03_confounds.tsv").replace("t1w", "bold_confounds"),
            "bold_confounds: the path says sub-03",
        ),
        (
            bids_sheet("a.nii")
            .replace("t1w", "gm\twm\tcsf")
            .replace("a.nii", "a.nii\tb.nii\ta.nii"),
            "gm, wm and csf are one file each, and a.nii stands twice",
        ),
        (bids_sheet("", "sub-01/ses-1/mrs/sub-01_ses-1_mrsref.nii.gz"), "ref: the path says ses-1"),
        (
            bids_sheet("sub-01_bold.nii; sub-02_bold.nii").replace("t1w", "bold"),
            "bold: the path says sub-02",
        ),
    ],
)
def test_a_file_of_another_person_or_session_is_told(files, sheet, words):
    (problem,) = problems(files(scans=sheet))
    assert problem.startswith("scans.tsv row 2: ") and words in problem


@pytest.mark.parametrize(
    "sheet",
    [
        bids_sheet("sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz"),
        bids_sheet("sub-1/anat/T1w.nii.gz"),
        bids_sheet("sub-03_events.tsv").replace("t1w", "events"),
        bids_sheet("sub-01/ses-1/anat/sub-01_ses-1_space-ses2_T1w.nii.gz"),
        bids_sheet("sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz", row="A\tsite7\t2"),
    ],
)
def test_files_of_the_row_or_of_the_same_folder_as_the_scan_pass(files, sheet):
    assert read_study(files(scans=sheet)).scans


ARMS = """site	subject	session	task	mrs	events	unit	arm
A	01	1	vis	a/1.rda	a/1.tsv	one	stimulus
A	01	2	vis	a/2.rda	a/2.tsv	two	control
"""


def test_arms_of_a_pair_are_read_with_their_scans(files):
    study = read_study({**files(scans=ARMS), "sites": {"pair": "stimulus-control"}})
    assert [unit.arm for unit in study.units()] == ["stimulus", "control"]


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("stimulus-sham", "no scan of scans.tsv is in arm sham (column arm); there are control, s"),
        ("stimulus", "'stimulus' is not of the form A-B"),
    ],
)
def test_a_pair_that_the_sheet_does_not_hold_is_refused(files, pair, said):
    config = files(scans=ARMS)
    (problem,) = problems({**config, "sites": {"pair": pair}})
    assert said in problem


REGIONS = """site	subject	mrs	events	voi	acq
A	01	a/1.rda	a/1.tsv	acc	x
A	01	a/2.rda	a/2.tsv	pcc	x
"""


def test_voxels_are_in_the_regions_of_the_column_that_the_settings_name(files):
    for column, regions in (("voi", ["acc", "pcc"]), ("acq", ["x", "x"])):
        study = read_study({**files(scans=REGIONS), "sites": {"region_column": column}})
        assert [study.region(unit) for unit in study.units()] == regions
    assert len({unit.key for unit in study.units()}) == 2


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ("hip", "no scan of scans.tsv is in hip (column voi); there are acc, pcc"),
        ("acc-acc", "'acc-acc' is neither a region nor of the form A-B"),
        ("acc-hip", "is in hip"),
        ("acc-pcc", None),
        ("pcc", None),
    ],
)
def test_a_region_that_the_sheet_does_not_hold_is_refused(files, region, said):
    config = {**files(scans=REGIONS), "sites": {"region": region}}
    if said is None:
        assert read_study(config).config["sites"]["region"] == region
        return
    (problem,) = problems(config)
    assert said in problem


@pytest.mark.parametrize("column", ["hemisphere", 5])
def test_a_region_of_a_column_that_there_is_not_is_one_problem(files, column):
    sites = {"region": "acc", "region_column": column}
    (problem,) = problems({**files(scans=REGIONS), "sites": sites})
    assert "region_column" in problem


def test_a_unit_of_two_arms_is_refused(files):
    mixed = ARMS.replace("two", "one")
    (problem,) = problems(files(scans=mixed))
    assert "row 3: arm control of unit one, whose scan of row 2 has stimulus" in problem


def runs_sheet(bold: str, events: str = "e.tsv", confounds: str = "n/a") -> str:
    head = "site\tsubject\tmrs\tbold\tbold_events\tbold_confounds\n"
    return f"{head}A\t01\tx.SDAT\t{bold}\t{events}\t{confounds}\n"


def test_several_bold_runs_of_a_scan_are_read_in_their_order(files):
    sheet = runs_sheet("1.nii.gz; 2.nii.gz;3.nii.gz", "1.tsv;2.tsv; 3.tsv", "1.txt;2.txt;3.txt")
    (scan,) = read_study(files(scans=sheet)).scans
    assert scan.files("bold") == ("1.nii.gz", "2.nii.gz", "3.nii.gz")
    assert scan.files("bold_events") == ("1.tsv", "2.tsv", "3.tsv")
    (shared,) = read_study(files(scans=runs_sheet("1.nii; 2.nii"))).scans
    assert shared.files("bold_events") == ("e.tsv",) and shared.files("bold_confounds") == ()


@pytest.mark.parametrize(
    ("sheet", "words"),
    [
        (runs_sheet("1.nii; 1.nii"), "bold: 1.nii stands twice"),
        (runs_sheet("1.nii; 2.nii; 3.nii", "1.tsv; 2.tsv"), "bold_events names 2 files and bold 3"),
        (runs_sheet("1.nii; 2.nii", confounds="1.tsv"), "bold_confounds names 1 files and bold 2"),
        (runs_sheet("1.nii;"), "a name between semicolons is empty"),
        (runs_sheet("1.nii; ../2.nii"), "'../2.nii' leads out of data_root"),
    ],
)
def test_lists_of_bold_runs_that_cannot_be_are_told(files, sheet, words):
    (problem,) = problems(files(scans=sheet))
    assert problem.startswith("scans.tsv row 2: ") and words in problem


def bids_runs(confounds: str, space: str = "_space-T1w") -> str:
    """A scan of session 9 with runs of sessions 1 and 2."""
    head = "site\tsubject\tsession\tmrs\tbold\tbold_events\tbold_confounds\n"
    stems = [f"sub-01/ses-{n}/func/sub-01_ses-{n}" for n in (1, 2)]
    bold = "; ".join(f"{stem}{space}_bold.nii.gz" for stem in stems)
    mrs = "sub-01/ses-9/mrs/sub-01_ses-9_svs.nii.gz"
    named = "; ".join(f"{stem}_{confounds}.tsv" for stem in stems)
    return f"{head}A\t01\t9\t{mrs}\t{bold}\te.tsv\t{named}\n"


def test_runs_of_sessions_without_a_scan_are_allowed_once_resampled_to_its_place(files):
    (scan,) = read_study(files(scans=bids_runs("desc-confounds"))).scans
    assert len(scan.files("bold_confounds")) == 2
    found = problems(files(scans=bids_runs("desc-confounds", space="")))
    assert any("bold: the path says ses-1" in one for one in found)
    other = bids_runs("desc-confounds").replace("ses-2_desc", "ses-3_desc")
    (problem,) = problems(files(scans=other))
    assert "bold_confounds: the path says ses-3" in problem


def test_each_missing_run_is_told(files):
    scan = read_study(files(scans=runs_sheet("1.nii; 2.nii")))
    told = [one for one in missing_files(scan) if " bold: " in one]
    assert len(told) == 2 and "no 1.nii" in told[0] and "no 2.nii" in told[1]


def test_labels_that_differ_in_capitals_alone_are_refused(files):
    sites = SITES + "a\tSiemens\t3\tPRESS\t0.03\t2\town\n"
    scans = SCANS + "A\t01\tVis\ta/2.rda\ta/2w.rda\ta/2.tsv\n"
    told = "\n".join(problems(files(sites=sites, scans=scans)))
    assert "sites.tsv row 4: sites A and a differ in capitals alone" in told
    assert "the scan A/sub-01_task-Vis stands in row 3 too, or differs in capitals alone" in told


def test_a_message_holds_neither_a_whole_value_nor_thousands_of_problems(files):
    config = files(data_root=["x" * 50] * 1000) | {f"key{n}": 1 for n in range(3000)}
    with pytest.raises(StudyError) as caught:
        read_study(config)
    assert len(caught.value.problems) > 3000
    assert "... and 28" in str(caught.value) and len(str(caught.value)) < 200_000


def test_a_sheet_that_cannot_be_read_is_a_problem_with_its_name(files, tmp_path):
    config = files()
    (tmp_path / "scans.tsv").unlink()
    (tmp_path / "scans.tsv").mkdir()
    (problem,) = problems(config)
    assert "scans.tsv: cannot be read (it is a folder, a pipe or a device" in problem
