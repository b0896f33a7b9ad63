# Vendor files to anonymised NIfTI-MRS in BIDS names.


rule convert:
    input:
        sources("convert", "mrs", "ref"),
    output:
        update(manifest("convert")),
    log:
        log("convert"),
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20, 0.5, "convert"),
    params:
        batch=batch("convert", "mrs", "ref", "t1w", "excitations_per_transient", "water_transients"),
    shell:
        call("convert")
