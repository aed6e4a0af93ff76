# From the mesh to an avatar: what is below depends on the method.


rule init:
    input:
        LAYOUT.frames_json,
        LAYOUT.sample,
        LAYOUT.alpha_json,
        LAYOUT.fit,
    output:
        LAYOUT.init,
        LAYOUT.manifest("init"),
    log:
        log_of("init"),
    threads: threads_of("init")
    params:
        **params_of("init"),
    shell:
        command_of("init")


rule train:
    input:
        LAYOUT.frames_json,
        LAYOUT.sample,
        LAYOUT.alpha_json,
        LAYOUT.fit,
        LAYOUT.init,
    output:
        LAYOUT.avatar,
        LAYOUT.avatar_ply,
        LAYOUT.train_log,
        directory(LAYOUT.validation),
        LAYOUT.manifest("train"),
    log:
        log_of("train"),
    threads: threads_of("train")
    resources:
        **resources_of("train"),
    params:
        **params_of("train"),
    shell:
        command_of("train")
