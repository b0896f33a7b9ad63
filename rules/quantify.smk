# Linear-combination fit, and concentrations from its amplitudes.

for number, batch in enumerate(SCAN_BATCHES):

    rule:
        name:
            f"fit_{number}"
        input:
            records("preprocess", batch),
            f"{RESULTS}/{folder('basis')}/{batch[0].site}_desc-basis_record.json",
        output:
            records("fit", batch),
        log:
            f"{RESULTS}/logs/{folder('fit')}/{number}.log",
        conda:
            "../envs/core.yaml"
        resources:
            mem_mb=memory(1500),
            runtime=60,
        params:
            study=FROZEN,
            names=f"{{preprocess}}-{{basis}}-{{fit}}",
            scans=keys(batch),
            settings=setting("fit"),
            code=code_digest("fit"),
        shell:
            "fmrsflow fit --study {params.study} {params.names} {params.scans} 2> {log}"

    rule:
        name:
            f"quantify_{number}"
        input:
            records("fit", batch),
            records("anatomy", batch),
        output:
            records("quantify", batch),
        log:
            f"{RESULTS}/logs/{folder('quantify')}/{number}.log",
        conda:
            "../envs/core.yaml"
        resources:
            mem_mb=memory(800),
            runtime=10,
        params:
            study=FROZEN,
            names=f"{{preprocess}}-{{basis}}-{{fit}}-{{concentration}}",
            scans=keys(batch),
            settings=setting("concentration"),
            code=code_digest("quantify"),
        shell:
            "fmrsflow quantify --study {params.study} {params.names} {params.scans} 2> {log}"
