# Names of files, and what a rule's params say so that a change reruns what depends on it.


def variants(stage):
    """Named settings under which a stage runs for some analysis, one dict for each of its folders.

    Rules are made for each of them, and no output holds a wildcard: Snakemake compares every file
    with every output that begins with the same letters up to the first wildcard.
    """
    choices = (
        {name: choice[name] for name in STAGE_SETTINGS[stage]} for choice in ANALYSES.values()
    )
    return list({directory(stage, names): names for names in choices}.values())


def tasks(stage, groups):
    """(names, number, batch) of each job of a stage: its settings, and a batch of scans."""
    return [(names, n, batch) for names in variants(stage) for n, batch in enumerate(groups)]


def records(stage, items, names=None):
    """Records that a stage writes for these scans or units under its settings."""
    where = directory(stage, names or {})
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


# Who was where, for rules whose tables tell persons apart.
PEOPLE = json.dumps(STUDY.participants, sort_keys=True)


def setting(stage, names):
    """The named setting of a stage, as text."""
    return json.dumps(STUDY.setting(stage, names[stage]), sort_keys=True)


def joined(stage, names, mark="-"):
    """Names of the settings of a stage, as its command line and rule name want them."""
    return mark.join(names[name] for name in STAGE_SETTINGS[stage])


def memory(mb):
    """Memory of a job, growing with each submission (profile `retries`)."""
    return lambda wildcards, attempt: mb * attempt


def keys(items):
    """Scans or units as the command line of a stage wants them."""
    return [item.key for item in items]


def analysed(analysis):
    """Records of every response unit under an analysis."""
    return records("response", STUDY.units(), ANALYSES[analysis])
