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
        scans=scans("basis"),
        request=request("basis"),
        again=again("basis"),
    shell:
        call("basis")
