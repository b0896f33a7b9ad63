# Names of files, and what a rule's params say so that a change reruns what depends on it.


def folder(stage):
    """Folder of a stage with its settings as wildcards, for example fit-{preprocess}-{basis}-{fit}."""
    return directory(stage, {name: f"{{{name}}}" for name in STAGE_SETTINGS[stage]})


def records(stage, items, names=None):
    """Records that a stage writes for these scans or units; `names` fills in the settings."""
    where = directory(stage, names) if names else folder(stage)
    return [str(STUDY.path(where, item, f"desc-{stage}_record.json")) for item in items]


def sources(items, *columns):
    """Input files of these scans; a missing one fails its scan alone, in the stage."""
    found = [str(STUDY.data_root / getattr(i, c)) for i in items for c in columns if getattr(i, c)]
    return sorted({path for path in found if path in DEMO_FILES or os.path.exists(path)})


def rows(items, *columns):
    """What the sheets say of these scans, so that an edited row reruns its scans."""
    cells = [[getattr(item, column) for column in columns] for item in items]
    sites = [dataclasses.astuple(STUDY.sites[name]) for name in sorted({i.site for i in items})]
    return json.dumps([cells, sites])


def setting(stage):
    """Params function: the named setting that a job's wildcards choose."""
    return lambda wildcards: json.dumps(STUDY.setting(stage, wildcards[stage]), sort_keys=True)


def memory(mb):
    """Memory of a job, growing with each submission (profile `retries`)."""
    return lambda wildcards, attempt: mb * attempt


def keys(items):
    """Scans or units as the command line of a stage wants them."""
    return [item.key for item in items]


def analysed(analysis):
    """Records of every response unit under an analysis."""
    return records("response", STUDY.units(), ANALYSES[analysis])
