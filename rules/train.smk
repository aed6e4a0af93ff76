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
    benchmark:
        benchmark_of("init")
    threads: THREADS
    params:
        **params_of("init"),
    shell:
        COMMAND


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
        LAYOUT.manifest("train"),
    log:
        log_of("train"),
    benchmark:
        benchmark_of("train")
    threads: THREADS
    resources:
        gpu=1,
    params:
        **params_of("train"),
    shell:
        COMMAND
