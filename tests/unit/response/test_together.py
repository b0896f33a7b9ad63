"""How scans of a unit are scaled to each other."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.basis.files import to_npz
from fmrsflow.basis.sequences import sequence
from fmrsflow.basis.simulate import simulate, with_macromolecules
from fmrsflow.batch import run_job
from fmrsflow.edge import Job
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.files import read_json
from fmrsflow.fit.design import Design, Timing
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.scan import Transients
from fmrsflow.response.measured import Measured
from fmrsflow.response.scalings import Scale, scale_of, scalings
from fmrsflow.response.together import fit_scans
from fmrsflow.stages.response import process
from fmrsflow.study import Scan, Site, Study
from fmrsflow.tables import columns_of, read_table

GAIN_SD = np.array([0.003, 0.004])


def rows(molal, raw, condition="rest"):
    return [
        {"metabolite": "tCr", "quantity": quantity, "condition": condition, "matched": matched,
         "value": value}
        for quantity, value in (("molal", molal), ("raw", raw))
        for matched in (True, False)
    ]  # fmt: skip


def test_water_scales_by_its_ratio_with_both_errors():
    """The second receiver has twice the gain: its water and its metabolites are twice as large."""
    scales = [Scale(0.5, 1000.0, 0.01), Scale(0.25, 2000.0, 0.02)]
    molal = scalings(scales, GAIN_SD, np.ones(2))["molal"]
    assert molal.ratio == pytest.approx([1.0, 2.0])
    assert molal.sd[0] == 0.0
    assert molal.sd[1] == pytest.approx(math.sqrt(0.01**2 + 0.02**2 + 0.003**2 + 0.004**2))


def test_what_tissue_makes_different_counts_as_uncertain():
    """The second voxel holds more CSF: 3 % beside its water."""
    scales = [Scale(0.5, 1000.0, 0.0), Scale(0.5 * 1.03, 1000.0, 0.0)]
    molal = scalings(scales, np.zeros(2), np.ones(2))["molal"]
    assert molal.ratio[1] == pytest.approx(1 / 1.03)
    assert molal.sd[1] == pytest.approx(math.log(1.03))


def test_without_water_in_each_scan_there_is_no_molal_scaling():
    assert "molal" not in scalings([Scale(0.5, 1000.0, 0.01), None], GAIN_SD, np.ones(2))
    found = scalings([None, None], GAIN_SD, np.ones(2))
    assert found["raw"].sd[1] == pytest.approx(0.005)
    assert np.isinf(found["ratio_stable"].sd[1]) and found["ratio_stable"].to_stable


def test_the_scale_of_a_scan_comes_from_its_tcr():
    water = {"amplitude": 500.0, "se": 5.0}
    assert scale_of(rows(8.0, 16.0), water) == Scale(0.5, 500.0, 0.01)
    assert scale_of(rows(8.0, 16.0), None) is None
    assert scale_of(rows(8.0, 0.0), water) is None
    assert scale_of([], water) is None


TRUTH = {
    "Cr": 4.6, "PCr": 4.4, "Gln": 2.6, "Glu": 10.5, "GPC": 1.1, "PCh": 0.4, "mI": 6.5, "NAA": 12.0,
    "NAAG": 1.4, "MM09": 4.0, "MM12": 4.4, "MM14": 3.8, "MM17": 4.2, "MM20": 3.9,
}  # fmt: skip
AXES = (5e-4, 1024, 123.25)
EVENTS = (["rest"] * 6 + ["task"] * 6) * 2


@pytest.fixture(scope="module")
def basis():
    made = simulate(sequence("sLASER", 0.028), AXES[2], AXES[1], 1 / AXES[0])
    made = with_macromolecules(made, "separate").select(tuple(TRUTH))
    return made.resampled(*AXES)


@pytest.fixture(scope="module")
def make(basis):
    """Function of (labels, gain, seed): a scan with +5 % Glu in its transients of the task or along
    a course; `gains` of its transients."""

    def scan(labels, gain, seed, bad=(), course=None, gains=None, scale=None, **more):
        rng = np.random.default_rng(seed)
        if course is None:
            course = np.array([label == "task" for label in labels], float)
        amplitudes = np.tile(list(TRUTH.values()), (len(labels), 1))
        amplitudes[:, list(TRUTH).index("Glu")] *= 1 + 0.05 * course
        fids = Fids((amplitudes @ basis.fids)[:, None], AXES[0], AXES[2], 0.028, 2.0)
        fids = fids.broadened(3.0 + seed % 2, 4.0)
        noise = rng.standard_normal((*fids.data.shape, 2)).view(complex)[..., 0]
        data = gain * (fids.data + 0.3 * noise)
        kept = np.ones(len(labels), bool)
        kept[list(bad)] = False
        data[list(bad)] *= 3.0  # what preprocessing cut must stay out
        if gains is not None:
            data *= np.asarray(gains)[:, None, None]
        time_s = 2.0 * np.arange(len(labels))
        fids, weight = fids.with_data(data), kept / kept.sum()
        made = Transients(fids, tuple(labels), kept, weight, time_s)
        timing = more.pop("timing", None) or Timing.of_labels(labels, time_s)
        return Measured(made, basis, scale, timing, **more)

    return scan


def test_a_baseline_scan_and_one_with_events_give_one_change(make):
    scans = [
        make(["rest"] * 24, 1.0, 1, bad=(3,), scale=Scale(0.5, 1000.0, 0.005)),
        make(EVENTS, 1.4, 2, scale=Scale(0.5 / 1.4, 1400.0, 0.005)),
    ]
    found = fit_scans(scans, "rest", ["task"], FitOptions())
    rows = {(one.metabolite, one.quantity): one for one in found.estimates(["Glu", "tCr"])}
    assert {quantity for _, quantity in rows} == {"molal", "raw", "ratio_stable", "ratio_tcr"}
    assert ("tCr", "ratio_stable") not in rows and ("tCr", "ratio_tcr") not in rows
    for quantity in ("molal", "ratio_stable", "ratio_tcr"):
        change = rows["Glu", quantity].change
        assert change.percent == pytest.approx(5.0, abs=3 * change.se), quantity
        assert 0.1 < change.se < 3.0
    gain = found.joint.changes["ratio_stable"].gain[1]
    assert gain == pytest.approx(1.4, rel=0.02)
    assert found.summary()["kept_share"] == [1.0, 1.0]
    told = found.flags(["a", "b"])
    assert len(told) == 1 and "without a plateau under other shapes" in told[0]


def test_a_water_of_another_scan_is_flagged(make):
    """Its amplitude says a gain of 1, what does not respond one of 1.4."""
    ways = {}
    for name, factor in (("right", 1.4), ("wrong", 1.0)):
        scales = [Scale(0.5, 1000.0, 0.005), Scale(0.5 / factor, 1000.0 * factor, 0.005)]
        scans = [
            make(["rest"] * 24, 1.0, 1, scale=scales[0]),
            make(["task"] * 24, 1.4, 2, scale=scales[1]),
        ]
        found = fit_scans(scans, "rest", ["task"], FitOptions())
        (ways[name],) = found.gain_controls(["a", "b"], 1.0)
    assert ways["right"].flag == ""
    assert "one of the waters is not that of its scan" in ways["wrong"].flag
    assert ways["wrong"].value == pytest.approx(-33.6, abs=2)


def test_a_scan_without_the_units_conditions_is_refused(make):
    scans = [make(["rest"] * 24, 1.0, 1), make(["other"] * 24, 1.0, 2)]
    with pytest.raises(DataError, match="no transient of its conditions"):
        fit_scans(scans, "rest", ["task"], FitOptions())


def changes(found, estimator="joint"):
    """Change by metabolite, quantity and contrast."""
    every = found.estimates(["Glu", "tCr"]) + found.differences(["Glu", "tCr"], "fieller")
    return {
        (one.metabolite, one.quantity, one.task): one.change
        for one in every
        if one.estimator == estimator
    }


@pytest.fixture(scope="module")
def quiet(make):
    """A rest scan and one with events."""
    return [make(["rest"] * 24, 1.0, 1), make(EVENTS, 1.4, 2)]


def test_fir_tells_each_delay_of_a_scan_with_events_and_the_observed_difference(make):
    """Glutamate that comes six seconds after the onset, four transients long."""
    course = np.tile([0.0] * 9 + [1.0] * 3, 2)
    scans = [make(["rest"] * 24, 1.0, 1), make(EVENTS, 1.4, 2, course=2 * course)]
    options = FitOptions(
        joint_regressor="fir",
        joint_fir_s=12.0,
        joint_drift_order=0,  # it would take part of what comes late in both blocks
        joint_contrasts=(
            "early = mean task_0s task_2s task_4s",
            "late = mean task_6s task_8s task_10s",
        ),
    )
    found = fit_scans(scans, "rest", ["task"], options)
    told = changes(found)
    delays = [f"task_{2 * step}s" for step in range(6)]
    assert found.joint.unit.tasks == tuple(delays)
    early, late = (told["Glu", "ratio_stable", name] for name in ("early", "late"))
    assert early.percent == pytest.approx(0.0, abs=3 * early.se)
    assert late.percent == pytest.approx(10.0, abs=3 * late.se)
    observed = told["Glu", "ratio_stable", "task"]
    assert observed.percent == pytest.approx(5.0, abs=3 * observed.se)
    assert late.percent - early.percent > 3 * (late.se + early.se) / 2


def test_a_scan_takes_the_table_of_its_design(quiet):
    """Two halves of the events by name, in the scan that has them; a rest scan with a constant."""
    box = np.array([label == "task" for label in EVENTS], float)
    first, drift = box * (np.arange(24) < 12), np.linspace(-1, 1, 24)
    names = ("constant", "first", "second", "drift_1")
    table = Design(names, np.column_stack([np.ones(24), first, box - first, drift]))
    width = Design(("linewidth_bold",), box[:, None])
    empty = Design(("linewidth_bold",), np.zeros((24, 1)))
    given = [
        replace(quiet[0], given=(Design(("constant",), np.ones((24, 1))), empty)),
        replace(quiet[1], given=(table, width)),
    ]
    found = fit_scans(given, "rest", ["task"], FitOptions())
    told = changes(found)
    assert found.joint.unit.tasks == ("first", "second")
    for name in ("first", "second", "task"):
        change = told["Glu", "ratio_stable", name]
        assert change.percent == pytest.approx(5.0, abs=3 * change.se), name


def test_macromolecules_that_may_respond_make_errors_larger(quiet):
    """They are no reference of the gain then."""
    fixed, free = (
        changes(fit_scans(quiet, "rest", ["task"], FitOptions(joint_macromolecules=one)))
        for one in ("fixed", "free")
    )
    key = ("Glu", "ratio_stable", "task")
    assert free[key].percent == pytest.approx(5.0, abs=3 * free[key].se)
    assert 1.005 * fixed[key].se < free[key].se < 2 * fixed[key].se


def test_a_course_of_motion_that_goes_with_the_task_takes_the_gain_that_it_made(make):
    """5 % of gain along a course like the task: where macromolecules may respond too, nothing else
    tells it from a response of everything."""
    rng = np.random.default_rng(3)
    box = np.array([label == "task" for label in EVENTS], float)
    course = box - box.mean() + 0.4 * rng.standard_normal(24)
    gains = 1 + 0.05 * (course - course.mean())
    motion = Design(("x",), ((course - course.mean()) / course.std())[:, None])
    rest = make(["rest"] * 24, 1.0, 1)
    free, told = FitOptions(joint_macromolecules="free"), {}
    for name, nuisance in (("without", None), ("with", motion)):
        task = make(EVENTS, 1.0, 2, gains=gains, nuisance=nuisance)
        found = fit_scans([rest, task], "rest", ["task"], free)
        told[name] = changes(found)["tCr", "raw", "task"]
    assert told["without"].percent > 3.0
    assert told["with"].percent == pytest.approx(0.0, abs=3 * told["with"].se)


def test_a_setting_without_effect_is_told(make, quiet):
    apart = [make(["rest"] * 24, 1.0, 1), make(["task"] * 24, 1.4, 2)]
    nested = FitOptions(
        joint_regressor="fir", joint_linewidth_events=("flicker",), joint_linewidth="fixed",
        joint_rest="task",
    )  # fmt: skip
    found = fit_scans(apart, "rest", ["task"], nested)
    told = found.summary()["unheeded"]
    for word in ("joint_regressor: fir", "joint_linewidth_events", "joint_linewidth: fixed",
                 "joint_rest: task"):  # fmt: skip
        assert sum(one.startswith(word) for one in told) == 1, word
    assert set(told) <= set(found.flags(["a", "b"]))
    assert fit_scans(apart, "rest", ["task"], FitOptions()).summary()["unheeded"] == []
    watered = [replace(apart[0], water=True), apart[1]]
    told = fit_scans(watered, "rest", ["task"], FitOptions()).summary()["unheeded"]
    assert len(told) == 1 and told[0].startswith("joint_linewidth_water has no effect")


def test_a_task_that_is_called_as_a_drift_has_its_change(make):
    """The drifting gratings of visual studies, in a scan of their own."""
    scans = [
        make(["rest"] * 24, 1.0, 1),
        make(["drifting"] * 24, 1.4, 2, course=np.ones(24)),
    ]
    found = fit_scans(scans, "rest", ["drifting"], FitOptions())
    told = {(one.task, one.quantity): one.change for one in found.estimates(["Glu"])}
    change = told["drifting", "ratio_stable"]
    assert change.percent == pytest.approx(5.0, abs=3 * change.se)
    with pytest.raises(DataError, match="condition constant has the name"):
        bad = [scans[0], make(["constant"] * 24, 1.4, 2)]
        fit_scans(bad, "rest", ["constant"], FitOptions())


def test_a_scaling_that_fails_leaves_a_row_with_its_reason(quiet):
    """All metabolites that the basis holds may respond: nothing is left to be scaled to."""
    every = tuple(name for name in TRUTH if not name.startswith("MM"))
    found = fit_scans(quiet, "rest", ["task"], FitOptions(joint_respond=(*every, "-CrCH2")))
    change = changes(found)["Glu", "ratio_stable", "task"]
    assert math.isnan(change.percent)
    assert "nothing is left that tells the gain of a scan" in change.reason
    assert "nothing is left" in found.summary()["failed_scalings"]["ratio_stable"]
    assert any("as ratio_stable: all signals may respond" in one for one in found.flags(["a", "b"]))
    assert math.isfinite(changes(found)["Glu", "raw", "task"].percent)


def test_a_gain_at_the_limit_of_its_grid_is_flagged_for_its_scan(make):
    """Gains that scatter by 30 %: the grid ends at 10."""
    rng = np.random.default_rng(4)
    wild = make(EVENTS, 1.0, 2, gains=np.exp(0.3 * rng.standard_normal(24)))
    found = fit_scans([make(["rest"] * 24, 1.0, 1), wild], "rest", ["task"], FitOptions())
    told = [one for one in found.flags(["a", "b"]) if "as far as the joint fit allows" in one]
    assert len(told) == 1 and "transients of b scatters" in told[0]


def test_means_of_conditions_are_of_one_model_with_their_own_widths(make):
    """Lines 2 Hz apart: `blocks` of two scans is matched, and near the joint fit."""
    scales = [Scale(0.5, 1000.0, 0.005), Scale(0.5 / 1.4, 1400.0, 0.005)]
    scans = [
        make(["rest"] * 24, 1.0, 1, scale=scales[0]),
        make(["task"] * 24, 1.4, 4, scale=scales[1]),
    ]
    found = fit_scans(scans, "rest", ["task"], FitOptions())
    means, joint = changes(found, "blocks"), changes(found)
    assert {quantity for _, quantity, _ in means} == {"molal", "raw", "ratio_tcr"}
    assert all(one.matched for one in found.differences(["Glu"], "fieller"))
    for key, change in means.items():
        if key[1] == "raw":
            continue  # the receiver had another gain
        truth = 5.0 if key[0] == "Glu" else 0.0
        assert change.percent == pytest.approx(truth, abs=3 * change.se), key
        # What macromolecules are taken not to do is known in the one alone.
        assert 0.9 * joint[key].se < change.se < 2 * joint[key].se, key
    assert means["Glu", "molal", "task"].low < means["Glu", "molal", "task"].percent


NAMES = {"preprocess": "p", "basis": "b", "fit": "f", "concentration": "c", "response": "r"}


def respond(folder, scans, basis, **fit) -> tuple[dict, list[dict]]:
    """Record and changes of the stage for scans of one unit, from their files on."""
    named = [Scan("a", "01", f"{j}.nii", task="t", run=str(j), unit="one") for j in range(2)]
    sites = {"a": Site("a", "GE", 2.9, "sLASER", 0.028, 2.0, "own")}
    config = {"results": str(folder / "results"), "data_root": str(folder)}
    config |= {stage: {name: {}} for stage, name in NAMES.items()}
    settings = {
        "rest": "rest", "metabolites": ["Glu", "tCr"], "interval": "fieller", "drift_order": 1,
        "bootstraps": 0, "bootstrap_block": 0, "control_percent": 1.0,
        "control_linewidth_hz": 0.6, "control_shift_hz": 1.0,
    }  # fmt: skip
    config |= {"response": {"r": settings}, "fit": {"f": fit}}
    study = Study(config, sites, tuple(named))
    made = Job("basis", study, sites["a"], {"basis": "b"})
    made.save("basis.npz", to_npz(basis))
    made.finish("ok", None, None, {})
    for one, scan in zip(named, scans):
        transients = scan.transients
        conditions = list(dict.fromkeys(transients.labels))

        def job(stage, wanted, one=one):
            return Job(stage, study, one, dict(list(NAMES.items())[:wanted]))

        body = {"tr_s": 2.0, "excitations_per_transient": 1}
        Job("convert", study, one, {}).finish("ok", None, None, body)
        before = job("preprocess", 1)
        before.save("svs", transients.fids)
        table = [
            {"transient": j, "time_s": 2.0 * j, "condition": label, "weight": 1.0, "kept": True,
             "shift_hz": 0.0}
            for j, label in enumerate(transients.labels)
        ]  # fmt: skip
        before.save("transients", table, columns_of("preprocess", "transients"))
        before.finish("ok", None, None, {"conditions": conditions})
        own = job("fit", 3)
        own.save("timecourse", [], columns_of("fit", "timecourse"))
        own.finish("ok", None, None, {"joint": {"status": "failed", "reason": "not asked for"}})
        after = job("quantify", 4)
        values = [
            {"metabolite": "tCr", "condition": name, "matched": False, "quantity": "raw",
             "value": 8.0, "se": 0.1, "water_se": 0.0}
            for name in conditions
        ]  # fmt: skip
        after.save("concentrations", values, columns_of("quantify", "concentrations"))
        after.finish("ok", None, None, {"water": None})
    done = Job("response", study, study.units()[0], NAMES)
    run_job(done, process)
    record = read_json(done.record_path)
    path = study.path("response-p-b-f-c-r", study.units()[0], "desc-response_change.tsv")
    return record, read_table(path) if path.is_file() else []


def test_the_stage_reads_designs_and_courses_beside_each_scan(tmp_path, quiet, basis):
    box = [label == "task" for label in EVENTS]
    rows = [f"1\t{int(one and j < 12)}\t{int(one and j >= 12)}" for j, one in enumerate(box)]
    stem = "sub-01_task-t_run-"
    (tmp_path / f"{stem}0_design.tsv").write_text("constant\n" + "1\n" * 24)
    (tmp_path / f"{stem}1_design.tsv").write_text("\n".join(["constant\tfirst\tsecond", *rows]))
    motion = np.random.default_rng(8).standard_normal(24)
    (tmp_path / f"{stem}1_motion.tsv").write_text("x\n" + "".join(f"{one}\n" for one in motion))
    fit = {"joint_design": "{stem}_design.tsv", "joint_nuisance": "{stem}_motion.tsv"}
    both = ["both = mean first second"]
    record, table = respond(tmp_path, quiet, basis, **fit, joint_contrasts=both)
    assert record["joint"]["contrasts"] == ["first", "second", "both"]
    # The file of the rest scan is not there.
    assert sum("no nuisance courses" in one for one in record["warnings"]) == 1
    files = {name.rsplit("_", 1)[1] for name in record["sources"]}
    assert files == {"design.tsv", "motion.tsv"}
    found = {
        row["task"]: row
        for row in table
        if (row["metabolite"], row["estimator"], row["quantity"])
        == ("Glu", "joint", "ratio_stable")
    }
    assert set(found) == {"first", "second", "both", "task"}
    for name, row in found.items():
        change, se = float(row["change_percent"]), float(row["se_percent"])
        assert change == pytest.approx(5.0, abs=3 * se), name
    means = [row for row in table if row["estimator"] == "blocks" and row["matched"] == "true"]
    assert {(row["metabolite"], row["quantity"]) for row in means} == {
        ("Glu", "raw"), ("Glu", "ratio_tcr"), ("tCr", "raw"),
    }  # fmt: skip


@pytest.mark.parametrize("setting", ["joint_design", "joint_nuisance"])
def test_a_field_that_no_scan_has_is_told(tmp_path, quiet, basis, setting):
    record, _ = respond(tmp_path, quiet, basis, **{setting: "{subjekt}.tsv"})
    assert record["status"] == "ok"
    told = f"setting {setting}: '{{subjekt}}.tsv': fields are stem, voi, site, subject"
    assert record["joint"]["reason"].startswith(told)


def test_a_design_of_another_folder_is_not_taken(tmp_path, quiet, basis):
    record, _ = respond(tmp_path / "study", quiet, basis, joint_design=str(tmp_path / "x.tsv"))
    assert "x.tsv (setting joint_design) is not below the data root" in record["reason"]


def test_a_unit_that_cannot_be_fitted_says_so_in_its_record(tmp_path, quiet, basis):
    record, _ = respond(tmp_path, quiet, basis, joint_respond=["Xyz"])
    assert record["joint"]["status"] == "failed"
    assert "Xyz, which the basis lacks" in record["joint"]["reason"]
