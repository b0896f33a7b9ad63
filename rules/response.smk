# Percent change of each response unit: a scan with events, or the scans of two conditions.

UNIT_BATCHES = [
    batch
    for site in STUDY.sites
    for batch in batches(
        [unit for unit in STUDY.units() if unit.scan.site == site], STUDY.config["batch"]
    )
]

for names, number, batch in tasks("response", UNIT_BATCHES):

    rule:
        name:
            f"response_{joined('response', names, '_')}_{number}"
        input:
            records("quantify", [scan for unit in batch for scan in unit.scans], names),
        output:
            records("response", batch, names),
        log:
            f"{RESULTS}/logs/{directory('response', names)}/{number}.log",
        conda:
            "../envs/core.yaml"
        resources:
            mem_mb=memory(800),
            runtime=10,
        params:
            study=FROZEN,
            names=joined("response", names),
            scans=keys(batch),
            settings=setting("response", names),
            code=code_digest("response"),
        shell:
            "fmrsflow response --study {params.study} {params.names} {params.scans} 2> {log}"
