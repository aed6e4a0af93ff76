# From raw videos to cleaned frames, mattes and 2D points.


rule synthesise:
    output:
        LAYOUT.truth,
        LAYOUT.manifest("synthesise"),
    log:
        log_of("synthesise"),
    threads: threads_of("synthesise")
    params:
        **params_of("synthesise"),
    shell:
        command_of("synthesise")


rule ingest:
    input:
        lambda wildcards: LAYOUT.truth if CAPTURES[wildcards.id].kind == "synthetic" else [],
    output:
        LAYOUT.capture,
        LAYOUT.manifest("ingest"),
    log:
        log_of("ingest"),
    threads: threads_of("ingest")
    params:
        **params_of("ingest"),
    shell:
        command_of("ingest")


rule frames_part:
    input:
        LAYOUT.capture,
    output:
        temp(str(LAYOUT.part("frames", "{part}", "{parts}"))),
    log:
        log_of("frames-{part}of{parts}"),
    threads: threads_of("frames")
    params:
        **params_of("frames"),
    shell:
        command_of("frames", "--part {wildcards.part}/{wildcards.parts}")


rule frames:
    input:
        LAYOUT.capture,
        parts_of("frames"),
    output:
        directory(LAYOUT.frames),
        LAYOUT.frames_json,
        LAYOUT.manifest("frames"),
    log:
        log_of("frames"),
    threads: threads_of("frames")
    params:
        **params_of("frames"),
    shell:
        command_of("frames")


rule sample:
    input:
        LAYOUT.capture,
        LAYOUT.frames_json,
    output:
        LAYOUT.sample,
        LAYOUT.manifest("sample"),
    log:
        log_of("sample"),
    threads: threads_of("sample")
    params:
        **params_of("sample"),
    shell:
        command_of("sample")


rule matte_part:
    input:
        LAYOUT.frames_json,
        LAYOUT.sample,
    output:
        temp(str(LAYOUT.part("matte", "{part}", "{parts}"))),
    log:
        log_of("matte-{part}of{parts}"),
    threads: threads_of("matte")
    params:
        **params_of("matte"),
    shell:
        command_of("matte", "--part {wildcards.part}/{wildcards.parts}")


rule matte:
    input:
        LAYOUT.frames_json,
        LAYOUT.sample,
        parts_of("matte"),
    output:
        directory(LAYOUT.alpha),
        LAYOUT.alpha_json,
        LAYOUT.manifest("matte"),
    log:
        log_of("matte"),
    threads: threads_of("matte")
    params:
        **params_of("matte"),
    shell:
        command_of("matte")


rule keypoints_part:
    input:
        LAYOUT.frames_json,
        LAYOUT.alpha_json,
    output:
        temp(str(LAYOUT.part("keypoints", "{part}", "{parts}"))),
    log:
        log_of("keypoints-{part}of{parts}"),
    threads: threads_of("keypoints")
    params:
        **params_of("keypoints"),
    shell:
        command_of("keypoints", "--part {wildcards.part}/{wildcards.parts}")


rule keypoints:
    input:
        LAYOUT.frames_json,
        LAYOUT.alpha_json,
        parts_of("keypoints"),
    output:
        LAYOUT.keypoints,
        LAYOUT.manifest("keypoints"),
    log:
        log_of("keypoints"),
    threads: threads_of("keypoints")
    params:
        **params_of("keypoints"),
    shell:
        command_of("keypoints")
