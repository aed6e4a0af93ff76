"""`./c2a benchmark`: how fast an avatar is drawn."""

from __future__ import annotations

from pathlib import Path

from pipeline.io.errors import InputError
from pipeline.io.files import check_writable, write_json
from pipeline.workflow.kept_settings import config_of
from pipeline.workflow.render_verb import trained_avatar
from pipeline.workflow.run_options import RunOptions
from pipeline.workflow.targets import layout_of

MOST = 100_000  # frames and rounds


def measure(name: str, options: RunOptions, subject: str, snapshot: int | None, frames: int | None, rounds: int, out: Path | None) -> None:
    """Measure, print a table, and write the figures to `out`. Raises InputError where the arguments are not as expected."""
    for option, value in (("--images", frames), ("--rounds", rounds)):
        if value is not None and not 1 <= value <= MOST:
            raise InputError(f"{option} out of range", found=value, expected=f"1 to {MOST}", remedy=f"correct {option}")
    if out and out.suffix.lower() != ".json":
        raise InputError("the figures are written as JSON", found=str(out), expected="--out FILE.json", remedy="correct --out")
    config = config_of(name, options)
    layout = layout_of(name, config)
    avatar = trained_avatar(name, layout, options, snapshot)
    if out:
        check_writable((options.here / out).parent, "--out")
    from pipeline.avatars.benchmark import benchmark_file, table

    figures = benchmark_file(avatar, config.stages["render"].device, frames, rounds, subject)
    print(table(figures))
    if out:
        write_json(options.here / out, figures)
        print(f"wrote {options.here / out}")
