"""What was registered is read by the rules of config.yaml, and every deviation from it is told."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
import yaml

from fmrsflow.preregistration import deviations, of_answers, weights
from fmrsflow.sheets import StudyError, read_study
from fmrsflow.stages.check import main as check
from fmrsflow.study import Study

SITES = """site	vendor	field_t	sequence	te_s	tr_s	protocol
A	Siemens	3	PRESS	0.03	2	standardised
"""
SCANS = """site	subject	task	mrs	ref	events
A	01	vis	a/1.rda	a/1w.rda	a/1.tsv
"""
STAGES = ("preprocess", "basis", "fit", "concentration", "response")
USUAL = dict.fromkeys(STAGES, "usual")
MAIN = ("Glu", "joint", True, "molal", "task-rest", "")


def config(**changes) -> dict:
    """Settings of a study of two analyses."""
    own = {
        "sites_sheet": "sites.tsv",
        "scans_sheet": "scans.tsv",
        "analyses": {"main": USUAL, "stiff": {**USUAL, "fit": "stiff"}},
        "primary": "main",
        **{stage: {"usual": {}} for stage in STAGES},
        "fit": {"usual": {}, "stiff": {"baseline_knots_per_ppm": 4}},
    }
    return {**own, **changes}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Function: the study of a configuration against a preregistration."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sites.tsv").write_text(SITES)
    (tmp_path / "scans.tsv").write_text(SCANS)

    def read(ran: dict, plan: dict | str) -> Study:
        text = plan if isinstance(plan, str) else yaml.safe_dump(plan)
        (tmp_path / "plan.yaml").write_text(text)
        study = read_study({**ran, "preregistration": str(tmp_path / "plan.yaml")})
        return replace(study, software={"Version": "0.1.0"})

    return read


def told(study: Study) -> list[tuple]:
    names = ("kind", "analysis", "what", "registered", "run")
    return [tuple(row[name] for name in names) for row in deviations(study)]


def test_a_copy_of_the_settings_registers_them_and_nothing_deviates(study, tmp_path):
    found = study(config(batch=7), {"version": "0.1.0", **config()})
    assert deviations(found) == []
    assert of_answers(found, {"main": MAIN, "stiff": MAIN}) == []
    digest = hashlib.sha256((tmp_path / "plan.yaml").read_bytes()).hexdigest()
    assert (found.preregistration["file"], found.preregistration["sha256"]) == ("plan.yaml", digest)
    assert weights(found) == {"main": 1.0, "stiff": 1.0}
    assert Study.from_text(found.save_text()) == found


def test_each_kind_of_deviation_is_told(study):
    plan = config(
        version="0.0.9",
        contrast="task-rest",
        weights={"main": 3},
        analyses={**config()["analyses"], "plain": USUAL},
        sites={"estimator": "blocks", "groups": ["vendor"]},
    )
    ran = config(
        analyses={**config()["analyses"], "late": USUAL},
        fit={
            "usual": {"lineshape": "voigt"},
            "stiff": {"baseline_knots_per_ppm": 4, "command": "x"},
        },
        quality={"min_snr_tcr": 5, "implausible": "exclude"},
        primary="stiff",
        only_sites=["A"],
    )
    assert told(study(ran, plan)) == [
        ("version", "", "fmrsflow", "0.0.9", "0.1.0"),
        ("setting", "", "primary", "main", "stiff"),
        ("exclusion", "", "only_sites", "none", "A"),
        ("exclusion", "", "quality: min_snr_tcr", "10", "5"),
        ("exclusion", "", "quality: implausible", "care", "exclude"),
        ("question", "", "sites: estimator", "blocks", "joint"),
        ("covariates", "", "sites: groups", "vendor", "none"),
        ("setting", "main", "fit: lineshape", "auto", "voigt"),
        ("analysis", "plain", "analysis", "registered", "not run"),
        ("analysis", "late", "analysis", "not registered", "run"),
    ]
    # What nobody registered takes no part in the joint test, and what did not run cannot.
    assert weights(study(ran, plan)) == {"main": 3.0, "stiff": 1.0}


def test_of_files_only_whether_one_is_named_is_compared(study):
    named = {"usual": {"joint_design": "Jane_Doe/a.tsv"}, "stiff": {"joint_nuisance": "b.tsv"}}
    plan = {"version": "0.1.0", **config(fit={**named, "stiff": {}})}
    ran = {**named, "usual": {"joint_design": "other.tsv"}}
    found = study(config(fit=ran), plan)
    assert told(found) == [("setting", "stiff", "fit: joint_nuisance", "none", "withheld")]
    assert "Jane" not in str(found.preregistration)


def test_answers_on_something_else_are_deviations(study):
    found = study(config(), {"version": "0.1.0", "contrast": "task-rest", **config()})
    other = ("Glu", "blocks", True, "molal", "late-rest (on-off)", "")
    rows = of_answers(found, {"main": other, "stiff": None})
    assert [(row["analysis"], row["what"], row["run"]) for row in rows] == [
        ("main", "main answer", "estimator blocks for joint"),
        ("main", "contrast", "late-rest (on-off)"),
        ("stiff", "main answer", "none"),
    ]
    paired = ("Glu", "joint", True, "molal", "task-rest (on-off)", "")
    assert not of_answers(found, {"main": paired, "stiff": MAIN})


def test_check_tells_deviations_before_anything_runs(study, tmp_path, capsys):
    ran = config(quality={"min_snr_tcr": 5}, data_root=str(tmp_path))
    study(ran, {"version": "0.1.0", **config()})
    ran["preregistration"] = str(tmp_path / "plan.yaml")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(ran))
    check([str(tmp_path / "config.yaml")])
    assert "not as registered: quality: min_snr_tcr: 5 for 10" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": None}, "version is missing"),
        ({"weights": {"main": 0}}, "weights: 'main': 0 is no number above 0"),
        ({"weights": {"main": "much"}}, "is no number above 0"),
        ({"weights": {"other": 1}}, "weights: 'other': there is no such analysis"),
        ({"weights": 3}, "weights: 3 is not a table"),
        ({"contrast": "a\tb"}, "contrast: 'a\\tb' is no name"),
        ({"contrast": "x" * 81}, "is no name of at most 80 letters"),
        ({"fit": {"usual": {"lineshape": "round"}}}, "none of auto, voigt, free"),
        ({"weigths": {"main": 1}}, "unknown key 'weigths'"),
        ({"primary": "other"}, "there is no analysis 'other'"),
    ],
)
def test_what_is_wrong_with_the_file_is_told_with_its_name(study, changes, message):
    plan = {"version": "0.1.0", **config(), **changes}
    with pytest.raises(StudyError) as caught:
        study(config(), plan)
    assert any("plan.yaml" in one and message in one for one in caught.value.problems)


@pytest.mark.parametrize(
    "text",
    ["- a list", "a: [", "a: &x [1]\nb: " + "[" * 60, "a: 1\n" * 60_000],
    ids=["no mapping", "no YAML", "deep", "long"],
)
def test_a_file_that_is_no_plan_is_refused_in_bounded_time(study, text):
    with pytest.raises(StudyError, match=r"plan\.yaml"):
        study(config(), text)


def test_a_file_that_is_not_there_is_named(study, tmp_path):
    with pytest.raises(StudyError, match=r"gone\.yaml: there is no such file"):
        read_study({**config(), "preregistration": str(tmp_path / "gone.yaml")})
