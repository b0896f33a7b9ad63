"""The user's files: config.yaml and sheets read, completed and checked, all errors reported.

Snakemake's own `validate` stops at the first error and does not look into lists, so the checks are
here. What a key or column means, its type and limits stand in `workflow/schemas/*.yaml`.
"""

from __future__ import annotations

import difflib
import math
import re
from functools import cache
from pathlib import Path, PurePosixPath

import yaml

from fmrsflow import identity
from fmrsflow.errors import DataError
from fmrsflow.study import ANALYSIS_SETTINGS, PATH_COLUMNS, RUN_COLUMNS, Scan, Site, Study
from fmrsflow.tables import MISSING, read_table

LABEL = re.compile(r"[A-Za-z0-9]+")
FOLDER = re.compile(r"[\w./+@=-]+")
"""A folder that stands in command lines as it is."""
SETTING_NAME = re.compile(r"[a-z][a-z0-9]*")
PLAIN_SECTIONS = ("anatomy", "quality", "bold", "sites")

_TYPES = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}
_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a table",
    "label": "letters and digits only",
    "path": "a path below data_root",
    "paths": "paths below data_root with semicolons between them",
    "folder": "a folder's name",
}


class StudyError(DataError):
    """The study's files cannot be used as they are; `problems` holds every error found."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"{count} in the study's files:", *problems]))


def read_study(config: dict, name: str = "config.yaml") -> Study:
    """A checked study from the mapping of a config.yaml and the sheets that it names.

    Parameters
    ----------
    config : dict
        As parsed from YAML; `name` is its file's name for messages.

    Raises
    ------
    StudyError
        With every error of all files at once.
    """
    problems: list[str] = []
    complete = check_config(config, name, problems)
    sites = _read_sites(complete, problems)
    rows = _read_scans(complete, sites, problems)
    people = _read_participants(complete, sites, problems)
    participants = tuple(row for _, row in people)
    problems += identity.scan_problems(complete["scans_sheet"], rows, participants)
    every = [scan for _, scan in rows]
    problems += _pair_problems(complete, [scan for _, scan in rows], name)
    problems += identity.participant_problems(complete.get("participants_sheet"), people, every)
    if problems:
        raise StudyError(problems)
    only = complete.get("only_sites")
    # Sorted, so that the order of the sheet changes no output.
    scans = sorted(
        (scan for scan in every if not only or scan.site in only), key=lambda scan: scan.key
    )
    return Study(complete, sites, tuple(scans), participants)


def read_config(path: str | Path) -> dict:
    """Parse a YAML configuration safely.

    Raises
    ------
    StudyError
        Not YAML, or not a mapping.
    """
    try:
        content = yaml.safe_load(Path(path).read_text())
    except FileNotFoundError:
        raise StudyError([f"{path}: there is no such file"]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(
            [f"{path}: not readable as YAML: {' '.join(str(error).split())}"]
        ) from None
    if not isinstance(content, dict):
        raise StudyError([f"{path}: holds no settings; see config/README.md"])
    return content


def missing_files(study: Study) -> list[str]:
    """Files that scans.tsv names and that are not there, one line each."""
    return [
        f"{study.config['scans_sheet']}: {scan.key}: {column}: there is no "
        f"{name} below {study.data_root}"
        for scan in study.scans
        for column in PATH_COLUMNS
        for name in scan.files(column)
        if not (study.data_root / name).exists()
    ]


@cache
def schema(name: str) -> dict:
    """Keys of a section of the configuration or columns of a sheet, with their limits."""
    here = Path(__file__).resolve()
    for folder in (here.parent / "schemas", here.parents[2] / "schemas"):
        if (folder / f"{name}.yaml").exists():
            return yaml.safe_load((folder / f"{name}.yaml").read_text())
    raise FileNotFoundError(f"schema {name}.yaml is not installed")


def check_config(config: dict, name: str, problems: list[str]) -> dict:
    """The configuration with every default; what is wrong with it is added to `problems`.

    `name` is that of the file, for the messages.
    """
    sections = (*ANALYSIS_SETTINGS, *PLAIN_SECTIONS)
    top = {key: value for key, value in config.items() if key not in sections}
    complete = _check_mapping(top, schema("config"), name, problems, also=sections)
    for section in PLAIN_SECTIONS:
        given = config.get(section) or {}
        complete[section] = _check_mapping(given, schema(section), f"{name}: {section}", problems)
    for section in ANALYSIS_SETTINGS:
        complete[section] = {}
        named = config.get(section) or {}
        if not isinstance(named, dict):
            problems.append(f"{name}: {section}: a table of named settings is needed")
            continue
        for setting, values in named.items():
            where = f"{name}: {section}: {setting}"
            if not SETTING_NAME.fullmatch(str(setting)):
                problems.append(f"{where}: a name is small letters and digits, it becomes a folder")
            if values is not None and not isinstance(values, dict):
                problems.append(f"{where}: holds {values!r} where settings are needed")
                continue
            complete[section][str(setting)] = _check_mapping(
                values or {}, schema(section), where, problems
            )
    _check_analyses(complete, name, problems)
    return complete


def _check_analyses(config: dict, name: str, problems: list[str]) -> None:
    analyses = config.get("analyses") or {}
    for analysis, choice in analyses.items():
        where = f"{name}: analyses: {analysis}"
        if not SETTING_NAME.fullmatch(str(analysis)):
            problems.append(f"{where}: a name is small letters and digits, it becomes a folder")
        if analysis in ("convert", "anatomy", "bold"):
            problems.append(f"{where}: this name is that of a stage's folder; take another")
        if not isinstance(choice, dict):
            problems.append(f"{where}: name one setting for each of {', '.join(ANALYSIS_SETTINGS)}")
            continue
        for stage in sorted(set(choice) - set(ANALYSIS_SETTINGS)):
            problems.append(f"{where}: unknown key {stage!r}{_nearest(stage, ANALYSIS_SETTINGS)}")
        for stage in ANALYSIS_SETTINGS:
            known = config[stage]
            if stage not in choice:
                problems.append(f"{where}: names no setting of {stage}; there are {_names(known)}")
            elif choice[stage] not in known:
                problems.append(
                    f"{where}: {stage}: there is no setting {choice[stage]!r}; "
                    f"there are {_names(known)}"
                )
    if config.get("primary") and config["primary"] not in analyses:
        problems.append(
            f"{name}: primary: there is no analysis {config['primary']!r}; "
            f"there are {_names(analyses)}"
        )


def _check_mapping(
    values: dict, keys: dict, where: str, problems: list[str], also: tuple[str, ...] = ()
) -> dict:
    if not isinstance(values, dict):
        problems.append(f"{where}: holds {values!r} where settings are needed")
        return {}
    for key in values:
        if key not in keys:
            told = _replaced(key, keys) or f"unknown key {key!r}{_nearest(key, [*keys, *also])}"
            problems.append(f"{where}: {told}")
    complete = {}
    for key, rule in keys.items():
        value = values.get(key, rule.get("default"))
        if value is None:
            if rule.get("required"):
                problems.append(f"{where}: {key} is missing: {rule['meaning']}")
        else:
            value, problem = check_value(value, rule)
            if problem:
                problems.append(f"{where}: {key}: {problem} ({rule['meaning']})")
        complete[key] = value
    return complete


def _replaced(key, keys: dict) -> str | None:
    """What a key of an earlier version is now called, and how its value follows."""
    for name, rule in keys.items():
        if key in (former := rule.get("formerly", {})):
            return f"{key} is now {name}; {former[key]}"
    return None


def check_value(value, rule: dict):
    """The value in its type, and what is wrong with it (None where nothing is)."""
    kind = rule.get("type", "str")
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    wanted = _TYPES.get(kind, str)
    if not isinstance(value, wanted) or (kind in ("int", "float") and isinstance(value, bool)):
        return value, f"{value!r} is not {_WORDS.get(kind, kind)}"
    if kind == "float" and not math.isfinite(value):
        return value, f"{value!r} is not a finite number"
    if kind == "label" and not LABEL.fullmatch(value):
        return value, f"{value!r} holds other than letters and digits"
    if kind == "folder" and (not FOLDER.fullmatch(value) or value.startswith("-")):
        return value, f"{value!r} holds other than letters, digits and . _ / + @ = -"
    if kind in ("path", "paths"):
        names = value.split(";") if kind == "paths" else [value]
        problem = next(filter(None, map(_path_problem, (name.strip() for name in names))), None)
        if problem:
            return value, problem
    if "choices" in rule and value not in rule["choices"]:
        choices = ", ".join(str(choice) for choice in rule["choices"])
        return value, f"{value!r} is none of {choices}"
    if "min" in rule and not value >= rule["min"]:
        return value, f"{value!r} is below {rule['min']}"
    if "max" in rule and not value <= rule["max"]:
        return value, f"{value!r} is above {rule['max']}"
    return value, None


def _path_problem(value: str) -> str | None:
    path = PurePosixPath(value)
    if not value:
        return "a name between semicolons is empty"
    if path.is_absolute() or ".." in path.parts or value.startswith("~"):
        return f"{value!r} leads out of data_root; write it relative to that folder"
    if any(ord(letter) < 32 or letter in "\\{}" for letter in value):
        return f"{value!r} holds a backslash, a brace or a control character; rename the file"
    return None


def _read_sheet(path: str, columns: dict, problems: list[str]) -> list[dict]:
    """Rows in their types; a wrong cell is reported with row and column and left out."""
    try:
        rows = read_table(path)
    except FileNotFoundError:
        problems.append(f"{path}: there is no such file")
        return []
    except DataError as error:
        problems.append(f"{path}: {error}")
        return []
    if not rows:
        problems.append(f"{path}: holds no row")
        return []
    for column in rows[0]:
        if column not in columns:
            problems.append(f"{path}: unknown column {column!r}{_nearest(column, columns)}")
    for column, rule in columns.items():
        if rule.get("required") and column not in rows[0]:
            problems.append(f"{path}: column {column!r} is missing: {rule['meaning']}")
    checked = []
    for number, row in enumerate(rows, start=2):
        found: dict = {"row": number}
        for column, rule in columns.items():
            text = row.get(column, MISSING)
            if text in ("", MISSING):
                if rule.get("required") and column in row:
                    problems.append(f"{path} row {number}: {column} is empty: {rule['meaning']}")
                continue
            value, problem = check_value(typed(text, rule), rule)
            if problem:
                problems.append(f"{path} row {number}: {column}: {problem} ({rule['meaning']})")
            else:
                found[column] = value
        checked.append(found)
    return checked


def typed(text: str, rule: dict):
    """A cell as the type of its column; as it is where it is none."""
    kind = rule.get("type", "str")
    if kind in ("int", "float"):
        try:
            return _TYPES[kind](text)
        except ValueError:
            return text
    return text


def _read_sites(config: dict, problems: list[str]) -> dict[str, Site]:
    columns = schema("sites_sheet")
    sheet = config["sites_sheet"]
    sites: dict[str, Site] = {}
    needed = [column for column, rule in columns.items() if rule.get("required")]
    for row in _read_sheet(sheet, columns, problems):
        number = row.pop("row")
        if any(column not in row for column in needed):
            continue
        name = row.pop("site")
        if name in sites:
            problems.append(f"{sheet} row {number}: site {name} stands twice; keep one row")
        sites[name] = Site(name=name, **row)
    return sites


def _read_scans(config: dict, sites: dict[str, Site], problems: list) -> list[tuple[int, Scan]]:
    """Every scan of the sheet with its row."""
    sheet = config["scans_sheet"]
    for name in sorted(set(config.get("only_sites") or ()) - set(sites)):
        problems.append(f"only_sites: {name} is no site of {config['sites_sheet']}")
    rows_of: dict[str, int] = {}
    scans = []
    for row in _read_sheet(sheet, schema("scans_sheet"), problems):
        number = row.pop("row")
        if any(column not in row for column in ("site", "subject", "mrs")):
            continue
        scan = Scan(**row)
        if scan.site not in sites and sites:
            problems.append(
                f"{sheet} row {number}: site {scan.site} is not in {config['sites_sheet']}"
                f"{_nearest(scan.site, sites)}"
            )
        if scan.key in rows_of:
            problems.append(
                f"{sheet} row {number}: the scan {scan.key} stands in row {rows_of[scan.key]} too; "
                "give them different session, task, acq or run"
            )
        rows_of.setdefault(scan.key, number)
        if scan.events and scan.condition:
            problems.append(
                f"{sheet} row {number}: names events and a condition; with events the conditions "
                "come from there: empty the column condition"
            )
        if len({bool(scan.gm), bool(scan.wm), bool(scan.csf)}) > 1:
            problems.append(f"{sheet} row {number}: gm, wm and csf are named all or none")
        problems += [f"{sheet} row {number}: {one}" for one in _run_problems(scan)]
        scans.append((number, scan))
    problems += _unit_problems(sheet, scans)
    return scans


def _pair_problems(config: dict, scans: list[Scan], name: str) -> list[str]:
    """A pair that is none, or of arms that no scan is in."""
    pair = config["sites"].get("pair")
    if not pair or not scans:
        return []
    arms = pair.split("-") if isinstance(pair, str) else []
    if len(arms) != 2 or not all(LABEL.fullmatch(arm) for arm in arms):
        return [f"{name}: sites: pair: {pair!r} is not of the form A-B"]
    known = sorted({scan.arm for scan in scans if scan.arm})
    return [
        f"{name}: sites: pair: no scan of {config['scans_sheet']} is in arm {arm} (column arm); "
        f"there are {_names(known)}"
        for arm in arms
        if arm not in known
    ]


def _unit_problems(sheet: str, rows: list[tuple[int, Scan]]) -> list[str]:
    """Units whose scans are of several arms."""
    first: dict[tuple, tuple[int, Scan]] = {}
    found = []
    for number, scan in rows:
        if not scan.unit:
            continue
        row, other = first.setdefault((scan.site, scan.subject, scan.unit), (number, scan))
        if scan.arm != other.arm:
            found.append(
                f"{sheet} row {number}: arm {scan.arm or 'n/a'} of unit {scan.unit}, whose scan of "
                f"row {row} has {other.arm or 'n/a'}; a unit belongs to one arm"
            )
    return found


def _run_problems(scan: Scan) -> list[str]:
    """What is wrong with the lists of a scan's BOLD runs."""
    runs, events, confounds = (scan.files(column) for column in RUN_COLUMNS)
    problems = []
    if twice := {name for name in runs if runs.count(name) > 1}:
        problems.append(f"bold: {min(twice)} stands twice; one run would count twice")
    if len(events) not in (0, 1, len(runs)) and runs:
        problems.append(
            f"bold_events names {len(events)} files and bold {len(runs)} runs; name one for each "
            "run in the same order, or one for all"
        )
    if len(confounds) not in (0, len(runs)) and runs:
        problems.append(
            f"bold_confounds names {len(confounds)} files and bold {len(runs)} runs; name one for "
            "each run in the same order, or none"
        )
    return problems


def _read_participants(config: dict, sites: dict[str, Site], problems: list) -> list:
    """Every row of the sheet with its number."""
    sheet = config.get("participants_sheet")
    if not sheet:
        return []
    rows = _read_sheet(sheet, schema("participants_sheet"), problems)
    seen: dict[tuple, int] = {}
    numbered = [(row.pop("row"), row) for row in rows]
    for number, row in numbered:
        key = (row.get("site"), row.get("subject"))
        if key in seen:
            problems.append(
                f"{sheet} row {number}: {key[1]} of {key[0]} stands in row {seen[key]} too"
            )
        seen.setdefault(key, number)
        if sites and key[0] and key[0] not in sites:
            problems.append(f"{sheet} row {number}: site {key[0]} is not in the sites sheet")
    return numbered


def _nearest(word, known) -> str:
    close = difflib.get_close_matches(str(word), [str(one) for one in known], n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {_names(known)}"


def _names(known) -> str:
    return ", ".join(str(one) for one in known) or "none"
