"""Two trainings at once, one on each card: `python -m tests.bench.two_cards [--folder DIR]` on a machine with two GPUs.

Each process claims its card as a stage does. The schedule is a quarter of that of `tests.bench.train`, run once before, so that kernels are compiled and images made.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from pipeline.machine.gpu_lock import cards, claim_card


def one(folder: Path) -> None:
    """Train on a card of its own; prints its name and seconds."""
    with claim_card() as card:
        import torch

        from tests.bench.head import bench_settings, make_head
        from tests.bench.train import prepare, quarter, run, schedule, true_images

        images, fit, cameras, held_out = make_head(folder, bench_settings(False), 16)
        trainer = prepare(images, fit, cameras, quarter(schedule(False)), torch.device("cuda"), 30_000)
        done = run(trainer, true_images(images, held_out), [images.by_name[name] for name in held_out], trainer.settings.iterations)
        print(json.dumps({"card": card, "seconds": done["seconds"], "psnr": done["psnr"]}), flush=True)


def start(folder: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "tests.bench.two_cards", "--one", "--folder", str(folder)], stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> dict:
    return json.loads(process.communicate()[0].splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("work/bench"))
    parser.add_argument("--one", action="store_true", help="one training, as the two are started")
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.folder)
        return
    print("cards:", cards())
    print("first run, kernels compiled:", finish(start(arguments.folder)))
    alone = [finish(start(arguments.folder)) for _ in range(2)]
    together = [finish(process) for process in [start(arguments.folder), start(arguments.folder)]]
    print("alone:", alone)
    print("together:", together)
    slowest = max(done["seconds"] for done in together) / min(done["seconds"] for done in alone)
    print(f"different cards: {len({done['card'] for done in together}) == 2}; the slower of two takes {slowest:.3f} of one alone")


if __name__ == "__main__":
    main()
