# From raw videos to cleaned frames, mattes and 2D points.


rule synthesise:
    output:
        LAYOUT.manifest("synthesise"),
    log:
        log_of("synthesise"),
    benchmark:
        benchmark_of("synthesise")
    threads: THREADS
    params:
        **params_of("synthesise"),
    shell:
        COMMAND


rule ingest:
    input:
        lambda wildcards: LAYOUT.manifest("synthesise") if CAPTURES[wildcards.id].kind == "synthetic" else [],
    output:
        LAYOUT.capture,
        LAYOUT.manifest("ingest"),
    log:
        log_of("ingest"),
    benchmark:
        benchmark_of("ingest")
    threads: THREADS
    params:
        **params_of("ingest"),
    shell:
        COMMAND


rule frames:
    input:
        LAYOUT.capture,
    output:
        directory(LAYOUT.frames),
        LAYOUT.frames_json,
        LAYOUT.manifest("frames"),
    log:
        log_of("frames"),
    benchmark:
        benchmark_of("frames")
    threads: THREADS
    params:
        **params_of("frames"),
    shell:
        COMMAND


rule sample:
    input:
        LAYOUT.capture,
        LAYOUT.frames_json,
    output:
        LAYOUT.sample,
        LAYOUT.manifest("sample"),
    log:
        log_of("sample"),
    benchmark:
        benchmark_of("sample")
    threads: THREADS
    params:
        **params_of("sample"),
    shell:
        COMMAND


rule matte:
    input:
        LAYOUT.frames_json,
        LAYOUT.sample,
    output:
        directory(LAYOUT.alpha),
        LAYOUT.alpha_json,
        LAYOUT.manifest("matte"),
    log:
        log_of("matte"),
    benchmark:
        benchmark_of("matte")
    threads: THREADS
    params:
        **params_of("matte"),
    shell:
        COMMAND


rule keypoints:
    input:
        LAYOUT.frames_json,
        LAYOUT.sample,
        LAYOUT.alpha_json,
    output:
        LAYOUT.keypoints,
        LAYOUT.manifest("keypoints"),
    log:
        log_of("keypoints"),
    benchmark:
        benchmark_of("keypoints")
    threads: THREADS
    params:
        **params_of("keypoints"),
    shell:
        COMMAND
