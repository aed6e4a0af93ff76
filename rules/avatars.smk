# The stages of the avatar method in use, of a capture or of a group of captures: from the mesh to the report.
# Stages of seconds share a cluster's job with a neighbour; `init` only where no stage of the method's own comes between.
SHARED = {"evaluate": "evaluate", "report": "evaluate"} | ({} if METHOD.own else {"init": "train", "train": "train"})


def avatar_rule(stage):
    """The rule of a stage."""

    rule:
        name:
            stage.name
        input:
            **avatar_input(stage),
        output:
            **output_of(stage, SUBJECT),
        log:
            log_of(stage.name, SUBJECT),
        group:
            f"{SHARED[stage.name]}+{{subject}}+" if stage.name in SHARED else None
        threads: threads_of(stage)
        resources:
            **resources_of(stage),
        params:
            **avatar_params(stage),
        shell:
            command_of(
                stage,
                [name for name in stage.inputs if name in MADE],
                stage.outputs,
                "--members {params.members:q}" if METHOD.scope == "group" else "",
            )


for stage in METHOD.avatar_stages:
    avatar_rule(stage)
