"""`fmrsflow sites [--study FILE] ANALYSIS`: tables and figures of an analysis over all sites;
`fmrsflow sites --multiverse`: those over all analyses, from their tables."""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from zlib import crc32

from fmrsflow.edge import MISSING, read_table, write_bytes, write_record
from fmrsflow.edge import write_table as write
from fmrsflow.records import file_digest, now, promised, read_record
from fmrsflow.sites.columns import COLUMNS
from fmrsflow.study import STAGE_SETTINGS, Scan, Study, Unit, directory

SCAN_STAGES = ("convert", "preprocess", "fit", "quantify")


def main(argv: list[str]) -> int:
    """Write the tables that the command line names."""
    parser = argparse.ArgumentParser(prog="fmrsflow sites", description=__doc__)
    parser.add_argument("--study", default="results/study.json", help="the frozen study")
    parser.add_argument("analysis", nargs="?", help="name of an analysis")
    parser.add_argument("--multiverse", action="store_true", help="over all analyses")
    arguments = parser.parse_args(argv)
    if arguments.multiverse == bool(arguments.analysis):
        parser.error("name one analysis, or give --multiverse")
    study = Study.load(arguments.study)
    if arguments.multiverse:
        write_multiverse(study)
    else:
        write_tables(study, arguments.analysis)
    return 0


def write_tables(study: Study, analysis: str) -> None:
    """Write results/<analysis>/sites/: every table, the figures, and last of all the record."""
    from fmrsflow.sites.answer import changes, grouped, main_key

    started = now()
    from fmrsflow.sites.levels import agreement, levels

    settings = study.config["sites"]
    read = Reader(study, study.config["analyses"][analysis])
    sheet = {name: asdict(site) for name, site in study.sites.items()}
    tables = {name: getattr(read, name)() for name in ("scans", "quality", "responses")}
    tables["concentrations"] = concentrations = read.concentrations()
    rest = study.setting("response", read.names["response"])["rest"]
    seed = crc32(f"{analysis} {len(tables['responses'])}".encode())
    tables |= changes(tables["responses"], sheet, settings, seed)
    chosen = _one_condition(concentrations, rest)
    told = set(study.setting("response", read.names["response"])["metabolites"])
    chosen = [row for row in chosen if row["metabolite"] in told]
    level = levels(chosen, sheet)
    tables["variance"] += level["variance"]
    tables["cv"] = level["cv"]
    tables |= agreement(tables["responses"], chosen)
    tables["problems"] = read.problems() + _not_estimated(tables)
    folder = study.results / analysis / "sites"
    for name, rows in tables.items():
        write(folder / f"{name}.tsv", rows, COLUMNS[name])
    key = main_key(grouped(tables["responses"]), settings)
    _draw(folder, tables, key)
    record = _record(study, analysis, folder, tables, key)
    record |= {"inputs": dict(sorted(read.inputs.items())), "seeds": {"bootstrap": seed}}
    write_record(folder / "record.json", record | _made(study, started))


class Reader:
    """Records and tables of all scans under one analysis; a failed scan is a row with its reason.

    What stages did not write (an optional table of a failed scan) is absent, never an error; a
    missing record is one, since the workflow makes a record for every scan.
    """

    def __init__(self, study: Study, names: dict[str, str]):
        self.study, self.names = study, names
        self.inputs: dict[str, str] = {}
        self._records: dict[tuple, dict] = {}
        self._unit_of = {scan.key: unit for unit in study.units() for scan in unit.scans}

    def record(self, stage: str, item: Scan | Unit) -> dict:
        """Record of a stage."""
        key = (stage, item.key)
        if key not in self._records:
            own = {name: self.names[name] for name in STAGE_SETTINGS[stage]}
            path = self.study.record_path(stage, own, item)
            self._records[key] = read_record(path)
            self.inputs[str(path.relative_to(self.study.results))] = file_digest(path)
        return self._records[key]

    def table(self, stage: str, what: str, item: Scan | Unit) -> list[dict[str, str]]:
        """Table of a stage; empty where it was not written."""
        name = f"{item.stem}_desc-{stage}_{what}.tsv"
        files = self.record(stage, item).get("files", {})
        if name not in files:
            return []
        path = self.study.path(directory(stage, self.names), item, f"desc-{stage}_{what}.tsv")
        own = {name: self.names[name] for name in STAGE_SETTINGS[stage]}
        self.inputs[str(path.relative_to(self.study.results))] = files[name]
        return read_table(promised(path, files[name], self.study.record_path(stage, own, item)))

    def last(self, scan: Scan) -> tuple[str, dict]:
        """Last stage that did not fail ("" where none), and the record that tells the status."""
        reached, record = "", {}
        for stage in SCAN_STAGES:
            record = self.record(stage, scan)
            if record["status"] == "failed":
                return reached, record
            reached = stage
        record = self.record("response", self._unit_of[scan.key])
        return (reached if record["status"] == "failed" else "response"), record

    def use(self, item: Scan | Unit) -> tuple[bool, str]:
        """Whether a scan or unit takes part in group statistics, and why not."""
        record = self.last(item)[1] if isinstance(item, Scan) else self.record("response", item)
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
                    "unit": self._unit_of[scan.key].key,
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
            kept, removed = (
                sum((done.get(name) or {}).values()) for name in ("n_kept", "n_removed")
            )
            rows.append(
                {
                    "site": scan.site,
                    "scan": scan.key,
                    "vendor": site.vendor,
                    "field_t": site.field_t,
                    "protocol": site.protocol,
                    **{
                        name: done.get(name)
                        for name in (
                            "snr_tcr",
                            "fwhm_tcr_hz",
                            "fwhm_water_hz",
                            "residual_water",
                            "drift_hz",
                        )
                    },
                    "fqn": (fitted.get("fqn") or {}).get("all"),
                    "mrar_percent": (fitted.get("mrar_percent") or {}).get("all"),
                    "n_kept": kept if done else None,
                    "rejected_percent": 100 * removed / (kept + removed) if kept else None,
                    "bold_narrowing_hz": (fitted.get("joint") or {}).get("bold_narrowing_hz"),
                    **{name: tissue.get(name) for name in ("v_gm", "v_wm", "v_csf")},
                    "used": used,
                    "reason": reason,
                }
            )
        return rows

    def concentrations(self) -> list[dict]:
        """Concentrations of all scans, linewidths not matched."""
        rows = []
        for scan in self.study.scans:
            used, reason = self.use(scan)
            for row in self.table("quantify", "concentrations", scan):
                if row["matched"] == "true":
                    continue
                rows.append(
                    {
                        "site": scan.site,
                        "scan": scan.key,
                        "person": self.study.person(scan),
                        **{name: row[name] for name in ("metabolite", "condition", "quantity")},
                        "value": _number(row["value"]),
                        "se": _number(row["se"]),
                        "unit": row["unit"],
                        "used": used,
                        "reason": reason,
                    }
                )
        return rows

    def responses(self) -> list[dict]:
        """Percent changes of all units; those without a number are not used."""
        rows = []
        for unit in self.study.units():
            used, reason = self.use(unit)
            for row in self.table("response", "change", unit):
                change = _number(row["change_percent"])
                there = math.isfinite(change)
                rows.append(
                    {
                        "site": unit.scan.site,
                        "unit": unit.key,
                        "person": self.study.person(unit.scan),
                        **{
                            name: row[name]
                            for name in (
                                "metabolite",
                                "estimator",
                                "matched",
                                "quantity",
                                "contrast",
                            )
                        },
                        "change_percent": change,
                        **{
                            name: _number(row[name])
                            for name in ("se_percent", "low_percent", "high_percent")
                        },
                        "used": used and there,
                        "reason": reason or ("" if there else row.get("reason", "no change")),
                    }
                )
        return rows

    def problems(self) -> list[dict]:
        """Failures, exclusions, warnings, and negative controls that speak against a result."""
        rows = []
        for scan in self.study.scans:
            for stage in ("anatomy", *SCAN_STAGES):
                rows += self._problems_of(stage, scan)
        for unit in self.study.units():
            rows += self._problems_of("response", unit)
            for text in self.record("response", unit).get("flags", ()):
                rows.append(_problem(unit.scan.site, unit.key, "response", "control", text))
        return rows

    def _problems_of(self, stage: str, item: Scan | Unit) -> list[dict]:
        record = self._body_or_failure(stage, item)
        site = item.scan.site if isinstance(item, Unit) else item.site
        rows = [
            _problem(site, item.key, stage, "warning", text) for text in record.get("warnings", ())
        ]
        # Told once, where it began.
        if record.get("status") in ("failed", "excluded") and record["failed_at"] == stage:
            rows.append(_problem(site, item.key, stage, record["status"], record["reason"]))
        return rows

    def _body_or_failure(self, stage: str, item: Scan | Unit) -> dict:
        try:
            return self.record(stage, item)
        except FileNotFoundError:
            if stage == "anatomy":  # a bundle need not hold it
                return {}
            raise

    def _body(self, stage: str, item: Scan | Unit) -> dict:
        record = self._body_or_failure(stage, item)
        return {} if record.get("status") == "failed" else record


def write_multiverse(study: Study) -> None:
    """Write results/multiverse/: specification.tsv, choices.tsv and the curve."""
    from fmrsflow.sites.multiverse import choice_variance, specification

    started, inputs = now(), {}
    settings, analyses = study.config["sites"], study.config["analyses"]
    found: dict[str, dict[str, list[dict]]] = {"sensitivity": {}, "responses": {}}
    for analysis in analyses:
        for name, tables in found.items():
            path = study.results / analysis / "sites" / f"{name}.tsv"
            inputs[str(path.relative_to(study.results))] = file_digest(path)
            rows = read_table(path)
            tables[analysis] = [_typed(row) for row in rows]
    rows = specification(found["sensitivity"], analyses, settings["metabolite"])
    shares = choice_variance(found["responses"], settings)
    folder = study.results / "multiverse"
    write(folder / "specification.tsv", rows, COLUMNS["specification"])
    write(folder / "choices.tsv", shares, COLUMNS["choices"])
    if rows:
        from fmrsflow.report import site_figures

        _save(folder, "specification", site_figures.specification(rows))
    names = ["specification.tsv", "choices.tsv"]
    files = {name: file_digest(folder / name) for name in names}
    record = {"stage": "sites", "settings": settings, "files": files, "inputs": inputs}
    write_record(folder / "record.json", record | _made(study, started))


def _draw(folder: Path, tables: dict[str, list[dict]], key: tuple | None) -> None:
    """Figures of the main answer, as SVG and PNG."""
    if key is None:
        return
    from fmrsflow.report import site_figures
    from fmrsflow.sites.answer import KEYS

    def of(name: str) -> list[dict]:
        return [row for row in tables[name] if tuple(row.get(k) for k in KEYS) == key]

    places = [row for row in of("sites") if row["n"]]
    answer = of("meta")[0]
    if places and math.isfinite(answer.get("low_percent", math.nan)):
        _save(folder, "forest", site_figures.forest(places, answer))
        if len(places) > 1:
            _save(folder, "caterpillar", site_figures.caterpillar(places, answer))
    shares = [
        row
        for row in of("variance")
        if row["outcome"] == "change" and math.isfinite(row["share_percent"])
    ]
    if shares:
        _save(folder, "variance_shares", site_figures.shares(shares))
    curve = [row for row in tables["sensitivity"] if row["metabolite"] == key[0]]
    curve = [row for row in curve if math.isfinite(row.get("low_percent") or math.nan)]
    if curve:
        curve.sort(key=lambda row: row["change_percent"])
        _save(folder, "specification", site_figures.specification(curve))
    power = [row for row in tables["power"] if "power" in row]
    if power:
        _save(folder, "power", site_figures.power_surface(power))
    for row in of("bland_altman"):
        if "bias" in row:
            pairs = _pairs(tables["responses"], key, row["first"], row["second"])
            name = f"bland_altman_{row['first']}_{row['second']}"
            _save(folder, name, site_figures.bland_altman(*pairs, row))


def _pairs(responses: list[dict], key: tuple, first: str, second: str) -> tuple[list, list]:
    """Values of the participants who were at both sites."""
    from fmrsflow.sites.answer import KEYS

    values: dict[str, dict[str, list[float]]] = {}
    for row in responses:
        if tuple(row[k] for k in KEYS) == key and row["used"]:
            values.setdefault(row["person"], {}).setdefault(row["site"], []).append(
                row["change_percent"]
            )
    both = [visits for visits in values.values() if first in visits and second in visits]
    mean = [[sum(v[site]) / len(v[site]) for v in both] for site in (first, second)]
    return mean[0], mean[1]


def _save(folder: Path, name: str, figure) -> None:
    import matplotlib

    # No date and fixed identifiers: the same study gives the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "fmrsflow", "svg.fonttype": "none"}):
        for kind, more in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 130})):
            buffer = io.BytesIO()
            if kind == "png":
                more["metadata"] = {"Software": None}
            figure.savefig(buffer, format=kind, **more)
            write_bytes(folder / "figures" / f"{name}.{kind}", buffer.getvalue())


def _record(study: Study, analysis: str, folder: Path, tables: dict, key: tuple | None) -> dict:
    status = [row["status"] for row in tables["scans"]]
    return {
        "stage": "sites",
        "analysis": analysis,
        "names": study.config["analyses"][analysis],
        "settings": study.config["sites"],
        "main": None if key is None else list(key),
        "scans": {name: status.count(name) for name in ("ok", "excluded", "failed")},
        "files": {f"{name}.tsv": file_digest(folder / f"{name}.tsv") for name in sorted(tables)},
    }


def _made(study: Study, started: str) -> dict:
    """When and by what a record was made."""
    return {
        "startedAtTime": started,
        "endedAtTime": now(),
        "GeneratedBy": [study.software] if study.software else [],
    }


def _one_condition(rows: Iterable[dict], rest: str) -> list[dict]:
    """Concentrations at rest, or of the average of all where a scan has no rest."""
    rows = list(rows)
    resting = {row["scan"] for row in rows if row["condition"] == rest}
    found = []
    for row in rows:
        wanted = rest if row["scan"] in resting else "all"
        if row["condition"] == wanted:
            found.append({**row, "condition": rest if resting else "all"})
    return found


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


def _number(text: str) -> float:
    return math.nan if text == MISSING else float(text)


def _typed(row: dict[str, str]) -> dict:
    """Numbers and truth values of a table that this stage wrote."""
    numbers = ("change_percent", "se_percent", "low_percent", "high_percent")
    typed: dict = {**row}
    for name in numbers:
        if name in row:
            typed[name] = _number(row[name])
    for name in ("used", "main"):
        if name in row:
            typed[name] = row[name] == "true"
    return typed
