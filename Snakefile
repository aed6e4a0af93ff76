# From raw multi-view video to an animatable avatar. Each phase has a page in rules/; what a rule does is in
# pipeline/stages/ under the same name; every setting is in config.yaml.
from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


include: "rules/common.smk"


rule all:
    default_target: True
    input:
        every_output,


include: "rules/prepare.smk"
include: "rules/fit.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"
