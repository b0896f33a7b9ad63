# Tissue maps of each T1w that needs the built-in segmentation, and the MRS voxel in the maps.


rule segment:
    input:
        sources("segment", "t1w"),
    output:
        update(manifest("segment")),
    log:
        log("segment"),
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30, 1, "segment"),
    params:
        batch=batch("segment", "t1w", section="anatomy"),
    shell:
        call("segment")


rule anatomy:
    input:
        manifest("convert"),
        segmentations,
        sources("anatomy", "t1w", "gm", "wm", "csf"),
    output:
        update(manifest("anatomy")),
    log:
        log("anatomy"),
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(20, 0.5, "anatomy"),
    params:
        batch=batch("anatomy", "t1w", "gm", "wm", "csf", section="anatomy"),
    shell:
        call("anatomy")
