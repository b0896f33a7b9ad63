# Percent change of each response unit: a scan with events, or the scans of two conditions.

UNIT_BATCHES = [
    batch
    for site in STUDY.sites
    for batch in batches(
        [unit for unit in STUDY.units() if unit.scan.site == site], STUDY.config["batch"]
    )
]

for number, batch in enumerate(UNIT_BATCHES):

    rule:
        name:
            f"response_{number}"
        input:
            records("quantify", [scan for unit in batch for scan in unit.scans]),
        output:
            records("response", batch),
        log:
            f"{RESULTS}/logs/{folder('response')}/{number}.log",
        conda:
            "../envs/core.yaml"
        resources:
            mem_mb=memory(800),
            runtime=10,
        params:
            study=FROZEN,
            names="-".join(f"{{{name}}}" for name in STAGE_SETTINGS["response"]),
            scans=keys(batch),
            settings=setting("response"),
            code=code_digest("response"),
        shell:
            "fmrsflow response --study {params.study} {params.names} {params.scans} 2> {log}"
