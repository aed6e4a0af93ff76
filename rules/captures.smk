# The stages of a capture, which all avatar methods share: from raw videos to a moving parametric mesh.


# Within functions, since Snakemake evaluates the shell line again when a job starts: a loop's variable would be that of the last rule by then.
def capture_rule(stage):
    """The rule of a stage."""

    rule:
        name:
            stage.name
        input:
            **capture_input(stage),
            parts=parts_of(stage),
        output:
            **output_of(stage, CAPTURE),
        log:
            log_of(stage.name, CAPTURE),
        # `sample`, seconds long, shares a cluster's job with `matte`, where no parts of that come between
        group:
            "matte+{capture}+" if stage.name in ("sample", "matte") and CONFIG.scatter == 1 else None
        threads: threads_of(stage)
        resources:
            **resources_of(stage),
        params:
            key=capture_key(stage),
        shell:
            command_of(stage, stage.inputs, stage.outputs)


def part_rule(stage):
    """The rule of a part of a scattered stage's cameras."""

    rule:
        name:
            f"{stage.name}_part"
        input:
            **capture_input(stage),
        output:
            temp(str(CAPTURE.part(stage.name, "{part}", "{parts}"))),
        log:
            log_of(f"{stage.name}-{{part}}of{{parts}}", CAPTURE),
        threads: threads_of(stage)
        params:
            key=capture_key(stage),
        shell:
            command_of(stage, stage.inputs, (), "--part {wildcards.part}/{wildcards.parts}")


for stage in METHOD.capture_stages:
    capture_rule(stage)
    if stage.scattered:
        part_rule(stage)
