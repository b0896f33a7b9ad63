# Tissue maps of each T1w that needs the built-in segmentation, and the MRS voxel in the maps.

SEGMENTED = {
    owner.key: owner for scan in STUDY.scans if (owner := STUDY.segment_owner(scan)) is not None
}

for number, owner in enumerate(SEGMENTED.values()):

    rule:
        name:
            f"segment_{number}"
        input:
            sources([owner], "t1w"),
        output:
            records("segment", [owner]),
        log:
            f"{RESULTS}/logs/segment/{number}.log",
        conda:
            "../envs/core.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=30,
        params:
            study=FROZEN,
            scans=keys([owner]),
            settings=json.dumps(STUDY.config["anatomy"], sort_keys=True),
            rows=rows([owner], "t1w"),
            code=code_digest("segment"),
        shell:
            "fmrsflow segment --study {params.study} {params.scans} 2> {log}"


def segmentations(batch):
    """Records of the segmentations that a batch of scans stands on."""
    owners = [STUDY.segment_owner(scan) for scan in batch]
    return sorted({path for owner in owners if owner for path in records("segment", [owner])})


for number, batch in enumerate(SCAN_BATCHES):

    rule:
        name:
            f"anatomy_{number}"
        input:
            records("convert", batch),
            segmentations(batch),
            sources(batch, "t1w", "gm", "wm", "csf"),
        output:
            records("anatomy", batch),
        log:
            f"{RESULTS}/logs/anatomy/{number}.log",
        conda:
            "../envs/core.yaml"
        resources:
            mem_mb=memory(1500),
            runtime=30,
        params:
            study=FROZEN,
            scans=keys(batch),
            settings=json.dumps(STUDY.config["anatomy"], sort_keys=True),
            rows=rows(batch, "t1w", "gm", "wm", "csf"),
            code=code_digest("anatomy"),
        shell:
            "fmrsflow anatomy --study {params.study} {params.scans} 2> {log}"
