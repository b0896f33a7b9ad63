# Corrected single transients and the average of each condition.

for names, job, batch in tasks("preprocess", SCAN_BATCHES):

    rule:
        name:
            f"preprocess_{joined('preprocess', names, '_')}_{job}"
        input:
            records("convert", batch),
            sources(batch, "events"),
        output:
            records("preprocess", batch, names),
        log:
            f"{RESULTS}/logs/{directory('preprocess', names)}/{job}.log",
        conda:
            "../envs/core.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=minutes(20, 1, len(batch)),
        params:
            study=FROZEN,
            names=joined("preprocess", names),
            scans=keys(batch),
            settings=setting("preprocess", names),
            quality=json.dumps(STUDY.config["quality"], sort_keys=True),
            rows=rows(batch, "events", "condition"),
            code=code_digest("preprocess"),
        shell:
            "fmrsflow preprocess --study {params.study} {params.names} {params.scans} 2> {log}"
