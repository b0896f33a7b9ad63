# Vendor files to anonymised NIfTI-MRS in BIDS names.

for job, batch in SCAN_BATCHES.items():

    rule:
        name:
            f"convert_{job}"
        input:
            sources(batch, "mrs", "ref"),
        output:
            records("convert", batch),
        log:
            f"{RESULTS}/logs/convert/{job}.log",
        conda:
            "../envs/core.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=minutes(20, 0.5, len(batch)),
        params:
            study=FROZEN,
            scans=keys(batch),
            rows=rows(batch, "mrs", "ref", "t1w"),
            code=code_digest("convert"),
        shell:
            "fmrsflow convert --study {params.study} {params.scans} 2> {log}"
