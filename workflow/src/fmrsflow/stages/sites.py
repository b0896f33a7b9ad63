"""`fmrsflow sites [--study FILE] ANALYSIS`: tables and figures of an analysis over all sites;
`fmrsflow sites --multiverse`: those over all analyses, from their tables; `fmrsflow sites --table
FILE --output DIR`: the answer on a table that the workflow did not make."""

from __future__ import annotations

import argparse
import io
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from fmrsflow import manifests, versions
from fmrsflow.exclusion import JUDGED, excluded
from fmrsflow.fingerprint import twins
from fmrsflow.participants import asked_columns
from fmrsflow.plausibility import scale_doubts, scale_outliers, water_outliers
from fmrsflow.question import KEYS, WATER_SCALED, main_key, ways_to_answer
from fmrsflow.results import Output, Results, Writer
from fmrsflow.scan_figures import FIGURES, scan_figures
from fmrsflow.study import Scan, Study, Unit, batches, study_option
from fmrsflow.tables import Row, write_table
from fmrsflow.tables.sites import TABLES

if TYPE_CHECKING:
    from fmrsflow.sites.places import Box

SCAN_STAGES = ("convert", "preprocess", "fit", "quantify")

TABLES_READ = {"quantify": ("concentrations.tsv",), "response": ("change.tsv", "plateaus.tsv")}
"""Tables of scans and response units that the tables of the sites are made from."""

TAKEN = (
    "metabolite",
    "estimator",
    "matched",
    "quantity",
    "contrast",
    "change_percent",
    "se_percent",
    "low_percent",
    "high_percent",
)
"""Columns of change.tsv that responses.tsv takes over."""

CONCENTRATION = (
    "metabolite",
    "condition",
    "quantity",
    "value",
    "se",
    "water_se",
    "total_se",
    "unit",
)
"""Columns of a scan's concentrations.tsv that the table of all scans takes over."""

ASKED = {
    *("status", "reason", "failed_at", "warnings", "flags"),
    *("v_gm", "v_wm", "v_csf", "n_kept", "n_removed", "fwhm_tcr_ppm", "joint", *FIGURES),
    *("implausible", "molal_reason", "water_amplitude", "fingerprint"),
    *("voxel_mm", "voxel_centre_mm"),
}
"""Keys of records that tables ask for, of whatever stage."""

VERSIONS = "(versions)"
"""Stands for what `versions.differences` finds."""


def main(argv: list[str]) -> int:
    """Write the tables that the command line names."""
    parser = argparse.ArgumentParser(prog="fmrsflow sites", description=__doc__)
    study_option(parser)
    parser.add_argument("analysis", nargs="?", help="name of an analysis")
    parser.add_argument("--multiverse", action="store_true", help="over all analyses")
    parser.add_argument("--table", type=Path, help="a table of changes or values (docs/answer.md)")
    parser.add_argument("--covariates", default="", help="columns of it, as age,group,group:field")
    parser.add_argument("--output", type=Path, help="folder for effects.tsv, with --table")
    arguments = parser.parse_args(argv)
    if sum(map(bool, (arguments.multiverse, arguments.analysis, arguments.table))) != 1:
        parser.error("name one analysis, or give --multiverse, or --table")
    if bool(arguments.table) != bool(arguments.output):
        parser.error("--table and --output go together")
    if arguments.table:
        return write_effects(arguments.table, arguments.covariates, arguments.output)
    study = Study.load(arguments.study)
    if arguments.multiverse:
        write_multiverse(study)
    else:
        write_tables(study, arguments.analysis)
    return 0


def write_tables(study: Study, analysis: str) -> None:
    """Write results/<analysis>/sites/: every table, the figures, and last of all the record."""
    from fmrsflow.sites.answer import changes, grouped
    from fmrsflow.sites.combat import comparison
    from fmrsflow.sites.covariates import as_tests, contradictions, covariates
    from fmrsflow.sites.levels import AtRest, agreement, levels
    from fmrsflow.sites.norms import measured, norms, read_norms, standing
    from fmrsflow.sites.places import box_problems
    from fmrsflow.sites.plateau import plateaus

    settings = study.config["sites"]
    results = Results(study)
    writer = Writer(results.group("sites", analysis), study.software, results.inputs)
    read = Reader(results, study.analysis(analysis))
    sheet = {name: asdict(site) for name, site in study.sites.items()}
    tables = {name: getattr(read, name)() for name in ("scans", "quality", "responses")}
    response = study.setting("response", read.names["response"])
    shown = set(response["metabolites"])
    # Hundreds of rows a scan: those kept that are asked for below, all written as they are read.
    resting = AtRest(response["rest"], shown | {"tCr"})
    for rows in read.concentrations():
        resting.add(rows)
    apart = scale_outliers(resting.rows())
    few = scale_doubts(resting.rows())
    reasons = {scan: text for _, scan, text in apart}
    parts = (_withheld(rows, reasons) for rows in read.concentrations())
    writer.save_parts("concentrations", parts, TABLES["concentrations"])
    seed = crc32(f"{analysis} {len(tables['responses'])}".encode())
    tables |= changes(tables["responses"], sheet, settings, seed)
    key = main_key(grouped(tables["responses"]), settings)
    people = study.people()
    if asked_columns(settings):
        tables["covariates"] = covariates(tables["responses"], sheet, people, settings, key)
        tables["tests"] += as_tests(tables["covariates"])
    usable = measured(tables["quality"], read.volumes_ml())
    tables["norms"] = norms(usable)
    if study.config.get("norms"):
        tables["standing"] = standing(usable, read_norms(study.config["norms"]))
    tables["plateau"] = [
        {**row, "region": region}
        for region, own in read.plateaus().items()
        for row in plateaus(own, sheet)
    ]
    beside = (
        *(*apart, *few, *water_outliers(read.water_per_ml())),
        *(*box_problems(read.boxes()), *contradictions(people, settings)),
    )
    scale = [_problem(site, scan, "sites", "warning", text) for site, scan, text in beside]
    chosen = _withheld(resting.rows(), reasons)
    chosen = [row for row in chosen if row["metabolite"] in shown]
    level = levels(chosen, sheet)
    tables["variance"] += level["variance"]
    tables["cv"] = level["cv"]
    tables |= agreement(tables["responses"], chosen, read.protocols())
    key = main_key(grouped(tables["responses"]), settings)
    tables["combat"] = comparison(tables["responses"], tables["meta"], sheet, key)
    tables["problems"] = read.problems() + scale + _not_estimated(tables)
    for name, rows in tables.items():
        writer.save_parts(name, batches(rows, 10_000), TABLES[name])
    _draw(writer, tables, key, settings)
    status = [row["status"] for row in tables["scans"]]
    head = {
        "stage": "sites",
        "analysis": analysis,
        "names": read.names,
        "settings": settings,
        "main": None if key is None else list(key),
        "scans": {name: status.count(name) for name in ("ok", "excluded", "failed", "fault")},
    }
    writer.finish(head, {"seeds": {"bootstrap": seed}})


class Reader:
    """Records and tables of all scans under one analysis; a failed scan is a row with its reason,
    and so is one that a fault of the program or the machine left without a record."""

    def __init__(self, results: Results, names: dict[str, str]):
        self.results, self.study, self.names = results, results.study, names
        self._records: dict[tuple[str, str], dict] = {}

    def output(self, stage: str, item: Scan | Unit) -> Output:
        """Output of a stage."""
        return self.results.of(stage, self.names, item)

    def record(self, stage: str, item: Scan | Unit) -> dict:
        """Record of a stage, as far as tables ask for it (`ASKED`), with what it was not made by as
        the others were (`VERSIONS`); in the place of one that is not there what the fault left, and
        in that of one that is damaged, or whose table is, a fault that says so."""
        if (stage, item.key) not in self._records:
            self._records[stage, item.key] = self._read(stage, item)
            # Whole records of ten thousand scans would fill the memory.
            self.results.release()
        return self._records[stage, item.key]

    def _read(self, stage: str, item: Scan | Unit) -> dict:
        output = self.output(stage, item)
        if output.exists:
            if damage := output.damage(*TABLES_READ.get(stage, ())):
                return {"status": "fault", "failed_at": stage, "reason": damage}
            record = output.record
            other = versions.differences(record, self.study, stage, self.names)
            return {key: one for key, one in record.items() if key in ASKED} | {VERSIONS: other}
        job = self.study.job_of(stage, item.key)
        manifest = manifests.read(self.study.manifest_path(stage, self.names, job))
        if manifest is None and stage == "anatomy":
            return {}  # a bundle need not hold it
        entry = manifest.entries.get(item.key) if manifest else None
        reason = (entry.reason if entry else None) or f"{stage} left no record; run again"
        return {"status": "fault", "failed_at": stage, "reason": reason}

    def table(self, stage: str, what: str, item: Scan | Unit) -> list[Row]:
        """Table of a stage; empty where it was not written."""
        output = self.output(stage, item)
        there = output.exists and not output.damage(f"{what}.tsv") and output.has(f"{what}.tsv")
        rows = output.table(what) if there else []
        self.results.release()
        return rows

    def last(self, scan: Scan) -> tuple[str, dict]:
        """Last stage that did its work ("" where none), and what holds the status of the scan."""
        reached, record = "", {}
        for stage in SCAN_STAGES:
            record = self.record(stage, scan)
            if record["status"] != "ok":
                return reached, record
            reached = stage
        record = self.record("response", self.study.unit_of(scan))
        if record["status"] == "ok":
            return "response", self._excluded((scan,)) or record
        return reached, record

    def _excluded(self, scans: tuple[Scan, ...]) -> dict | None:
        """What stands for the record of scans that a limit of quality excludes."""
        limits = self.study.config["quality"]
        records = [[self._body(stage, scan) for stage in JUDGED] for scan in scans]
        reasons = [excluded(first, limits, *later) for first, *later in records]
        reasons += [self._twin(scan) for scan in scans]
        reason = "; ".join(dict.fromkeys(filter(None, reasons)))
        return {"status": "excluded", "failed_at": "sites", "reason": reason} if reason else None

    def _twin(self, scan: Scan) -> str:
        """Why a scan is another one's measurement; "" where it is its own."""
        if self.study.config.get("same_content"):
            return ""
        other = self._twins.get(scan.key)
        return (
            f"the same measurement as {other}, in another file or format (their FIDs are one but "
            "for scale and phase): it would count twice, and nobody knows whose it is; name each "
            f"scan's own file in {self.study.config.get('scans_sheet', 'scans.tsv')}"
            if other
            else ""
        )

    @cached_property
    def _twins(self) -> dict[str, str]:
        records = {scan.key: self._body("convert", scan) for scan in self.study.scans}
        return twins({key: record.get("fingerprint") or () for key, record in records.items()})

    def use(self, item: Scan | Unit) -> tuple[bool, str]:
        """Whether a scan or unit takes part in group statistics, and why not."""
        if isinstance(item, Scan):
            record = self.last(item)[1]
        else:
            record = self.record("response", item)
            if record["status"] == "ok":
                record = self._excluded(item.scans) or record
        if record["status"] == "ok":
            return True, ""
        return False, f"{record['status']}: {record['reason']}"

    def scans(self) -> list[dict]:
        """A row a scan: how far it came."""
        rows = []
        for scan in self.study.scans:
            stage, record = self.last(scan)
            rows.append(
                {
                    "site": scan.site,
                    "scan": scan.key,
                    "subject": scan.subject,
                    "session": scan.session,
                    "person": self.study.person(scan),
                    "unit": self.study.unit_of(scan).key,
                    "stage": stage,
                    "status": record["status"],
                    "failed_at": record["failed_at"],
                    "reason": record["reason"],
                }
            )
        return rows

    def quality(self) -> list[dict]:
        """A row a scan: figures of quality, as far as they are known."""
        rows = []
        for scan in self.study.scans:
            site = self.study.site(scan)
            used, reason = self.use(scan)
            done, fitted = (self._body(stage, scan) for stage in ("preprocess", "fit"))
            tissue = self._body("anatomy", scan)
            figures = scan_figures(done, fitted)
            rows.append(
                {
                    "site": scan.site,
                    "scan": scan.key,
                    "vendor": site.vendor,
                    "field_t": site.field_t,
                    "protocol": site.protocol,
                    **{name: figures.get(name) for name in FIGURES if name != "n_rejected"},
                    **{name: tissue.get(name) for name in ("v_gm", "v_wm", "v_csf")},
                    "used": used,
                    "reason": reason,
                }
            )
        return rows

    def concentrations(self) -> Iterator[list[dict]]:
        """Concentrations of each scan, linewidths not matched."""
        for scan in self.study.scans:
            used, reason = self.use(scan)
            scaled = self._body("quantify", scan).get("molal_reason")
            own = {"site": scan.site, "scan": scan.key, "person": self.study.person(scan)}
            own["region"] = self.study.region(scan)
            found = []
            for row in self.table("quantify", "concentrations", scan):
                if row["matched"]:
                    continue
                wrong = reason or (scaled if row["quantity"] in WATER_SCALED else "") or ""
                taken = {name: row[name] for name in CONCENTRATION}
                found.append({**own, **taken, "used": used and not wrong, "reason": wrong})
            yield found

    def water_per_ml(self) -> dict[tuple[str, str], float]:
        """Site and scan -> amplitude of the water reference over the volume of the voxel, of those
        that have both."""
        found = {}
        for scan in self.study.scans:
            water = self._body("fit", scan).get("water_amplitude")
            sides = self._body("convert", scan).get("voxel_mm")
            if water and sides:
                found[scan.site, scan.key] = 1e3 * water / math.prod(sides)
        return found

    def volumes_ml(self) -> dict[str, float]:
        """Scan -> volume of its voxel, of those that tell it."""
        return {
            scan.key: math.prod(sides) / 1e3
            for scan in self.study.scans
            if (sides := self._body("convert", scan).get("voxel_mm"))
        }

    def responses(self) -> list[dict]:
        """Percent changes of all units, and differences of arms and of regions of a person; those
        without a number are not used."""
        from fmrsflow.sites.arms import Place, with_arms, with_regions

        rows, places, setting = [], {}, self.study.config["sites"]
        protocols = self.protocols()
        for unit in self.study.units():
            places[unit.key] = Place(unit.arm, protocols[unit.key])
            used, reason = self.use(unit)
            # Within a scan the scale cancels, between two it does not.
            scales = [self._body("quantify", scan).get("molal_reason") for scan in unit.scans]
            scaled = "; ".join(filter(None, scales)) if len(scales) > 1 else ""
            for row in self.table("response", "change", unit):
                there = math.isfinite(row["change_percent"])
                wrong = scaled if row["quantity"] in WATER_SCALED else ""
                rows.append(
                    {
                        "site": unit.scan.site,
                        "unit": unit.key,
                        "person": self.study.person(unit.scan),
                        **{name: row[name] for name in TAKEN},
                        "region": self.study.region(unit),
                        "used": used and there and not wrong,
                        "reason": reason or ("" if there else row["reason"]) or wrong,
                    }
                )
        return with_regions(
            with_arms(rows, places, setting.get("pair", "")), setting.get("region", "")
        )

    def protocols(self) -> dict[str, str]:
        """Unit and scan -> label of its protocol: `acq`, where that does not name the region."""
        named = self.study.config["sites"].get("region_column", "voi") != "acq"
        items = (*self.study.scans, *self.study.units())
        return {one.key: one.entities["acq"] if named else "" for one in items}

    def boxes(self) -> list[Box]:
        """Where the voxels of the scans lay, of those that say it."""
        from fmrsflow.sites.places import Box

        return [
            Box(
                scan.site,
                scan.key,
                self.study.person(scan),
                scan.session,
                self.study.region(scan),
                tuple(centre),
            )
            for scan in self.study.scans
            if (centre := self._body("convert", scan).get("voxel_centre_mm"))
        ]

    def plateaus(self) -> dict[str, list[dict]]:
        """Plateaus of all units under shapes of the response, by region."""
        from fmrsflow.sites.arms import in_arm

        rows: dict[str, list[dict]] = {}
        for unit in self.study.units():
            used, _ = self.use(unit)
            same = {"site": unit.scan.site, "person": self.study.person(unit.scan), "used": used}
            found = self.table("response", "plateaus", unit)
            own = rows.setdefault(self.study.region(unit), [])
            own += [in_arm({**same, **row}, unit.arm) for row in found]
        return rows

    def problems(self) -> list[dict]:
        """Faults, failures, exclusions, warnings, and negative controls against a result."""
        rows, lost = self._failed_bases(), set()
        for scan in self.study.scans:
            for stage in ("convert", "anatomy", *SCAN_STAGES[1:]):
                rows += self._problems_of(stage, scan, lost)
            if found := self._excluded((scan,)):
                rows.append(_problem(scan.site, scan.key, "sites", "excluded", found["reason"]))
        for unit in self.study.units():
            lost |= {unit.key} if lost & {scan.key for scan in unit.scans} else set()
            rows += self._problems_of("response", unit, lost)
            for text in self.record("response", unit).get("flags", ()):
                rows.append(_problem(unit.scan.site, unit.key, "response", "control", text))
        return rows + self._versions()

    def _versions(self) -> list[dict]:
        """A row for what some records of a site and stage were not made by, as the others were."""
        total: Counter[tuple[str, str]] = Counter()
        found: Counter[tuple[str, str, str]] = Counter()
        for stage in ("convert", "anatomy", *SCAN_STAGES[1:], "response"):
            for item in self.study.units() if stage == "response" else self.study.scans:
                record = self.record(stage, item)
                if VERSIONS not in record:  # none is there
                    continue
                total[item.site, stage] += 1
                for one in record[VERSIONS]:
                    found[item.site, stage, one] += 1
        return [
            _problem(
                site, site, stage, "versions",
                versions.made_by_two(stage, count, total[site, stage], one),
            )
            for (site, stage, one), count in found.items()
        ]  # fmt: skip

    def _failed_bases(self) -> list[dict]:
        """A row a site whose basis failed, with all its scans; from the records of the fits, since
        a bundle holds no record of a basis."""
        found: dict[str, str] = {}
        for scan in self.study.scans:
            record = self.record("fit", scan)
            if record["status"] == "failed" and record["failed_at"] == "basis":
                found.setdefault(scan.site, record["reason"])
        return [_problem(site, site, "basis", "failed", reason) for site, reason in found.items()]

    def _problems_of(self, stage: str, item: Scan | Unit, lost: set[str]) -> list[dict]:
        """Problems of an item in a stage; a fault once, where it began (`lost` keeps the keys)."""
        record = self.record(stage, item)
        rows = [
            _problem(item.site, item.key, stage, "warning", text)
            for text in record.get("warnings", ())
        ]
        status = record.get("status")
        at = record.get("failed_at")
        # The segmentation of a T1w may serve several scans: each of them lacks its fractions.
        own = at == stage or (stage, at) == ("anatomy", "segment")
        began = own and (status != "fault" or item.key not in lost)
        if status in ("failed", "fault") and began:
            rows.append(_problem(item.site, item.key, stage, status, record["reason"]))
        if status == "fault":
            lost.add(item.key)
        return rows

    def _body(self, stage: str, item: Scan | Unit) -> dict:
        record = self.record(stage, item)
        return record if record.get("status") == "ok" else {}


def write_effects(path: Path, covariates: str, output: Path) -> int:
    """Write effects.tsv of a table that the workflow did not make, and print the effects."""
    from fmrsflow.sites.foreign import answers, read

    named = [one.strip() for one in covariates.split(",") if one.strip()]
    rows = answers(read(path, named), named)
    write_table(output / "effects.tsv", rows, TABLES["effects"])
    for row in rows:
        place = " ".join(filter(None, (row["metabolite"], row["region"])))
        told = row.get("reason", "")
        if "low" in row:
            told = (
                f"{row['estimate']:+.3g} (95 % interval {row['low']:+.3g} to {row['high']:+.3g}, "
                f"p {row['p']:.2g}, by Holm {row['p_holm']:.2g})"
            )
        print(f"{place}, {row['model']}, {row['term']}: {told}")
    return 0


def write_multiverse(study: Study) -> None:
    """Write results/multiverse/: curve, joint test, deviations from what was registered."""
    from fmrsflow import preregistration
    from fmrsflow.sites.multiverse import choice_variance, main_answers, specification, together

    settings, analyses = study.config["sites"], study.config["analyses"]
    weights = preregistration.weights(study)
    results = Results(study)
    writer = Writer(results.multiverse(), study.software, results.inputs)
    sensitivity, responses = (
        {name: results.group("sites", name).table(table) for name in analyses}
        for table in ("sensitivity", "responses")
    )
    rows = specification(sensitivity, analyses, settings, weights)
    joint, described = together(responses, settings, weights)
    deviations = preregistration.deviations(study)
    deviations += preregistration.of_answers(study, main_answers(responses, settings))
    for name, content in (
        ("specification", rows),
        ("choices", choice_variance(responses, settings)),
        ("analyses", described),
        ("joint_test", joint),
        ("deviations", deviations),
    ):
        writer.save(name, content, TABLES[name])
    if rows:
        from fmrsflow.report import site_figures

        _save(writer, "specification", site_figures.specification(rows))
    registered = {key: study.preregistration.get(key) for key in ("file", "sha256")}
    writer.finish({"stage": "sites", "settings": settings}, {"preregistration": registered})


def _draw(writer: Writer, tables: dict, key: tuple | None, settings: dict) -> None:
    """Figures of the main answer, as SVG and PNG."""
    if key is None:
        return
    from fmrsflow.report import site_figures

    def of(name: str) -> list[dict]:
        return [row for row in tables[name] if tuple(row.get(k) for k in KEYS) == key]

    places = [row for row in of("sites") if row["n"]]
    answer = of("meta")[0]
    if places and math.isfinite(answer.get("low_percent", math.nan)):
        _save(writer, "forest", site_figures.forest(places, answer))
        if len(places) > 1:
            _save(writer, "caterpillar", site_figures.caterpillar(places, answer))
    shares = [
        row
        for row in of("variance")
        if row["outcome"] == "change" and math.isfinite(row["share_percent"])
    ]
    if shares:
        _save(writer, "variance_shares", site_figures.shares(shares))
    curve = ways_to_answer(tables["sensitivity"], settings)
    curve = [row for row in curve if math.isfinite(row.get("low_percent") or math.nan)]
    if curve:
        curve.sort(key=lambda row: row["change_percent"])
        _save(writer, "specification", site_figures.specification(curve))
    power = [row for row in tables["power"] if "power" in row]
    if power:
        _save(writer, "power", site_figures.power_surface(power))
    for row in of("bland_altman"):
        if "bias" in row:
            pairs = _pairs(tables["responses"], key, row["first"], row["second"])
            name = f"bland_altman_{row['first']}_{row['second']}"
            _save(writer, name, site_figures.bland_altman(*pairs, row))


def _pairs(responses: list[dict], key: tuple, first: str, second: str) -> tuple[list, list]:
    """Values of the participants who were at both sites."""
    values: dict[str, dict[str, list[float]]] = {}
    for row in responses:
        if tuple(row[k] for k in KEYS) == key and row["used"]:
            values.setdefault(row["person"], {}).setdefault(row["site"], []).append(
                row["change_percent"]
            )
    both = [visits for visits in values.values() if first in visits and second in visits]
    mean = [[sum(v[site]) / len(v[site]) for v in both] for site in (first, second)]
    return mean[0], mean[1]


def _save(writer: Writer, name: str, figure) -> None:
    import matplotlib

    # No date and fixed identifiers: the same study gives the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "fmrsflow", "svg.fonttype": "none"}):
        for kind, more in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 130})):
            buffer = io.BytesIO()
            if kind == "png":
                more["metadata"] = {"Software": None}
            figure.savefig(buffer, format=kind, **more)
            writer.save(f"figures/{name}.{kind}", buffer.getvalue())


def _withheld(rows: list[dict], reasons: dict[str, str]) -> list[dict]:
    """Rows with the water-scaled values of these scans out of group statistics, and the reason."""
    for row in rows:
        if row["quantity"] in WATER_SCALED and row["used"] and (why := reasons.get(row["scan"])):
            row.update(used=False, reason=why)
    return rows


def _not_estimated(tables: dict[str, list[dict]]) -> list[dict]:
    """What the tables of the answer could not estimate, once a table and text."""
    found: dict[tuple, dict] = {}
    for name in ("meta", "sites", "variance", "cv", "agreement", "equivalence", "power"):
        for row in tables[name]:
            if row.get("reason", "").startswith("cannot be estimated"):
                what = row.get("component", "")
                text = f"{what}: {row['reason']}" if what else row["reason"]
                site = row.get("site", "")
                found.setdefault(
                    (name, site, text), _problem(site, name, "sites", "not estimated", text)
                )
    return list(found.values())


def _problem(site: str, item: str, stage: str, kind: str, text: str) -> dict:
    return {"site": site, "item": item, "stage": stage, "kind": kind, "text": text}
