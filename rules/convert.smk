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
        scans=scans("convert"),
        request=request("convert", "mrs", "ref", "t1w"),
        again=again("convert"),
    shell:
        call("convert")
