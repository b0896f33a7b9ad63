# Tissue maps of each T1w that needs the built-in segmentation, and the MRS voxel in the maps.

SEGMENTED = {
    owner.key: owner for scan in STUDY.scans if (owner := STUDY.segment_owner(scan)) is not None
}

for job, (owner,) in site_batches(SEGMENTED.values(), 1).items():

    rule:
        name:
            f"segment_{job}"
        input:
            sources([owner], "t1w"),
        output:
            records("segment", [owner]),
        log:
            f"{RESULTS}/logs/segment/{job}.log",
        conda:
            "../envs/core.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=minutes(30),
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


for job, batch in SCAN_BATCHES.items():

    rule:
        name:
            f"anatomy_{job}"
        input:
            records("convert", batch),
            segmentations(batch),
            sources(batch, "t1w", "gm", "wm", "csf"),
        output:
            records("anatomy", batch),
        log:
            f"{RESULTS}/logs/anatomy/{job}.log",
        conda:
            "../envs/core.yaml"
        resources:
            mem_mb=memory(1500),
            runtime=minutes(20, 0.5, len(batch)),
        params:
            study=FROZEN,
            scans=keys(batch),
            settings=json.dumps(STUDY.config["anatomy"], sort_keys=True),
            rows=rows(batch, "t1w", "gm", "wm", "csf"),
            code=code_digest("anatomy"),
        shell:
            "fmrsflow anatomy --study {params.study} {params.scans} 2> {log}"
