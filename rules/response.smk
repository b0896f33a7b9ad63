# Percent change of each response unit: a scan with events, or the scans of two conditions.


def measured(wildcards):
    """Manifests of the concentrations that a batch of units stands on."""
    scans = [scan for unit in batch_of("response", wildcards) for scan in unit.scans]
    return manifests_of("quantify", dict(wildcards), scans)


rule response:
    input:
        measured,
    output:
        update(manifest("response")),
    log:
        log("response"),
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(800),
        runtime=minutes(10, 0.25, "response"),
    params:
        scans=scans("response"),
        request=request("response"),
        again=again("response"),
    shell:
        call("response")
