# One basis set for each site's protocol.


rule basis:
    input:
        basis_files,
    output:
        update(manifest("basis")),
    log:
        log("basis"),
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(60),
    params:
        batch=batch("basis"),
    shell:
        call("basis")
