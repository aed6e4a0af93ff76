"""What happens on each mistake that a user makes: a table of where it stops, what is said, and whether that is as it must be.

python -m tests.mistakes                      all of them, about half an hour on two cores
python -m tests.mistakes half_K names_swapped --folder kept
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mistakes.rig import Rig, make_good
from tests.mistakes.runs import run_variant
from tests.mistakes.variants import VARIANTS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="variants (default: all): " + ", ".join(VARIANTS))
    parser.add_argument("--folder", type=Path, help="where the captures and results stay (default: a temporary folder)")
    parser.add_argument("--at-once", type=int, default=2)
    given = parser.parse_args()
    if unknown := set(given.names) - set(VARIANTS):
        parser.error(f"no variant {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="c2a-mistakes-") as temporary:
        folder = (given.folder or Path(temporary)).absolute()
        good = Rig(folder / "good")
        if not good.calibration.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            make_good(good.folder)
        names = given.names or list(VARIANTS)
        print(f"{'variant':26} {'ends in':10} {'exit':4} {'as expected':11}  first line")
        pool, wrong = ThreadPoolExecutor(given.at_once), 0
        try:
            ends = pool.map(lambda name: run_variant(name, good, folder / "runs", keep=bool(given.folder)), names)
            for name, end in zip(names, ends):
                wrong += bool(end.wrong)
                line = next((line for line in end.lines if line), "")[:200]
                print(f"{name:26} {end.where:10} {end.code:4} {'NO' if end.wrong else 'yes':11}  {end.wrong or line}", flush=True)
        finally:
            pool.shutdown(cancel_futures=True)  # after Ctrl-C the others do not start
    print(f"{len(names) - wrong} of {len(names)} variants end as they must")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
