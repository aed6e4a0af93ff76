"""`./c2a body`: import a model of the user's, list all models, show one."""

from __future__ import annotations

from pathlib import Path

from pipeline.contract.bodies import NAME, RESERVED, bodies, bodies_folder, body_kind, body_path, imported_bodies
from pipeline.io.errors import InputError
from pipeline.io.files import write_bytes
from pipeline.io.progress import log
from pipeline.workflow.run_options import RunOptions, load_config

ACTIONS = ("import", "list", "show")
FEWEST = 100  # face landmarks of a model that can be tracked


def body_verb(words: tuple[str, ...], name: str, masks: Path | None, teeth: bool, out: Path | None, options: RunOptions) -> int:
    """Do what the first word says; the arguments are those of the command line, paths relative to `options.here`. Raises InputError."""
    load_config(options)
    action, *rest = words or ("list",)
    match action:
        case "import":
            _import(rest, name, options.here / masks if masks else None, teeth, options.here)
        case "list":
            _list()
        case "show":
            _show(rest, options.here / out if out else None)
        case _:
            raise InputError(f"no action '{action}'", expected=" | ".join(ACTIONS), remedy="./c2a body --help")
    return 0


def _import(words: list[str], name: str, masks: Path | None, teeth: bool, here: Path) -> None:
    if not words:
        raise InputError("no format", expected="a format and files", remedy="./c2a body import flame FILE --name NAME")
    if not NAME.fullmatch(name) or name in RESERVED or name in bodies().keys() - imported_bodies().keys():
        expected = "--name NAME: letters, digits, _ and -, at most 64, and no name of the project's own models"
        raise InputError("the model needs a name", found=repr(name), expected=expected, remedy="correct --name")
    from pipeline.body.importers.importer import check_request, import_model

    kind, files = words[0], [here / Path(word).expanduser() for word in words[1:]]
    check_request(kind, files, masks, teeth)
    path = bodies_folder() / f"{name}.npz"
    facts = import_model(kind, files, path, masks, teeth)
    stable = facts["mediapipe_face"]["stable"]
    log(f"body: {path}: {facts['source']}, {stable} of 478 face landmarks; use it as `model` in captures.tsv or with --set fit.model={name}")
    if body_kind(name) == "head" and stable < FEWEST:
        log(f"body: warning: with {stable} face landmarks a head cannot be tracked; ./c2a body show {name} --out {name}.png shows how its face looks")


def _list() -> None:
    own = imported_bodies()
    for name, path in bodies().items():
        print(f"{name:<20} {body_kind(name):<5} {'imported' if name in own else 'embedded':<9} {path.stat().st_size / 1e6:6.1f} MB")


def _show(words: list[str], out: Path | None) -> None:
    if len(words) != 1:
        raise InputError("show takes one model", found=" ".join(words), expected=" | ".join(bodies()), remedy="./c2a body show NAME --out x.png")
    name = words[0]
    body_path(name)
    if out is None or out.suffix.lower() != ".png":
        raise InputError("nothing to write", found=str(out or ""), expected="--out FILE.png", remedy=f"./c2a body show {name} --out {name}.png")
    from pipeline.body.model import load_model
    from pipeline.body.model_image import describe, model_image
    from pipeline.io.packed import encode_png

    model = load_model(name)
    write_bytes(out, encode_png(model_image(model)))
    for line in describe(model):
        print(line)
    log(f"body: {out}")
