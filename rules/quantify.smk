# Linear-combination fit, and concentrations from its amplitudes.


def basis_of(wildcards):
    """Manifest of the basis of the site of a batch."""
    site = STUDY.sites[batch_of("fit", wildcards)[0].site]
    return manifests_of("basis", dict(wildcards), [site])


def designs(wildcards):
    """Design tables that the setting names for the scans of a batch."""
    pattern = STUDY.setting("fit", wildcards.fit)["joint_design"]
    return named_files(batch_of("fit", wildcards), pattern)


def fit_minutes(wildcards, attempt):
    """Other engines take up to 40 s a scan, ours less than 1 s."""
    each = 1 if STUDY.setting("fit", wildcards.fit)["engine"] == "fmrsflow" else 5
    return minutes(20, each, "fit")(wildcards, attempt)


rule fit:
    input:
        manifest("preprocess"),
        basis_of,
        designs,
    output:
        update(manifest("fit")),
    log:
        log("fit"),
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=fit_minutes,
    params:
        scans=scans("fit"),
        request=request("fit"),
        again=again("fit"),
    shell:
        call("fit")


rule quantify:
    input:
        manifest("fit"),
        manifest("anatomy"),
    output:
        update(manifest("quantify")),
    log:
        log("quantify"),
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(800),
        runtime=minutes(10, 0.1, "quantify"),
    params:
        scans=scans("quantify"),
        request=request("quantify"),
        again=again("quantify"),
    shell:
        call("quantify")
