# Vendor files to anonymised NIfTI-MRS in BIDS names.

for number, batch in enumerate(SCAN_BATCHES):

    rule:
        name:
            f"convert_{number}"
        input:
            sources(batch, "mrs", "ref"),
        output:
            records("convert", batch),
        log:
            f"{RESULTS}/logs/convert/{number}.log",
        conda:
            "../envs/core.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=30,
        params:
            study=FROZEN,
            scans=keys(batch),
            rows=rows(batch, "mrs", "ref", "t1w"),
            code=code_digest("convert"),
        shell:
            "fmrsflow convert --study {params.study} {params.scans} 2> {log}"
