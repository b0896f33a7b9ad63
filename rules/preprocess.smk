# Corrected single transients and the average of each condition.

for number, batch in enumerate(SCAN_BATCHES):

    rule:
        name:
            f"preprocess_{number}"
        input:
            records("convert", batch),
            sources(batch, "events"),
        output:
            records("preprocess", batch),
        log:
            f"{RESULTS}/logs/{folder('preprocess')}/{number}.log",
        conda:
            "../envs/core.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=60,
        params:
            study=FROZEN,
            scans=keys(batch),
            settings=setting("preprocess"),
            quality=json.dumps(STUDY.config["quality"], sort_keys=True),
            rows=rows(batch, "events", "condition"),
            code=code_digest("preprocess"),
        shell:
            "fmrsflow preprocess --study {params.study} {wildcards.preprocess} {params.scans} 2> {log}"
