# Percent change of each response unit: a scan with events, or the scans of two conditions.

for names, job, batch in tasks("response", site_batches(STUDY.units())):

    rule:
        name:
            f"response_{joined('response', names, '_')}_{job}"
        input:
            records("quantify", [scan for unit in batch for scan in unit.scans], names),
        output:
            records("response", batch, names),
        log:
            f"{RESULTS}/logs/{directory('response', names)}/{job}.log",
        conda:
            "../envs/core.yaml"
        resources:
            mem_mb=memory(800),
            runtime=minutes(10, 0.25, len(batch)),
        params:
            study=FROZEN,
            names=joined("response", names),
            scans=keys(batch),
            settings=setting("response", names),
            code=code_digest("response"),
        shell:
            "fmrsflow response --study {params.study} {params.names} {params.scans} 2> {log}"
