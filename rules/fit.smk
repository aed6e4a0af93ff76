# From 2D points and mattes to a moving parametric mesh.


rule fit:
    input:
        LAYOUT.frames_json,
        LAYOUT.sample,
        LAYOUT.alpha_json,
        LAYOUT.keypoints,
    output:
        directory(LAYOUT.overlay),
        LAYOUT.fit,
        LAYOUT.manifest("fit"),
    log:
        log_of("fit"),
    threads: threads_of("fit")
    params:
        **params_of("fit"),
    shell:
        command_of("fit")
