"""`./c2a view`: what is asked for, checked before torch is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.io.errors import InputError
from pipeline.io.files import check_writable
from pipeline.workflow.exchange_verbs import import_avatar
from pipeline.workflow.kept_settings import config_of
from pipeline.workflow.render_verb import trained_avatar
from pipeline.workflow.run_options import RunOptions, load_config
from pipeline.workflow.targets import layout_of

SMALLEST, LARGEST = 64, 4096


@dataclass(frozen=True)
class ViewWish:
    """What to view, and how.

    Attributes:
        names: captures, groups, avatar.npz files or folders that hold one, model folders. attach: the one capture or group whose training to follow; empty =
            none. body: of a model folder the FLAME that it was trained with.
        host, port: where to listen. device: as `render.device`. size: longest side of an image, pixels. out: folder for what the browser saves.
    """

    names: tuple[str, ...]
    attach: str
    body: str
    host: str
    port: int
    device: str
    size: int
    out: Path | None


def view_avatars(wish: ViewWish, options: RunOptions) -> None:
    """Show avatars in the browser until Ctrl-C. Raises InputError where the wish cannot be fulfilled."""
    names = (*wish.names, wish.attach) if wish.attach else wish.names
    if not names or (wish.attach and wish.names):
        expected = "captures, groups or files; or --attach and one capture or group"
        raise InputError("say which avatar to view", found=" ".join(names) or None, expected=expected, remedy="./c2a status lists the captures")
    if not SMALLEST <= wish.size <= LARGEST:
        raise InputError("--longest-side is out of range", found=wish.size, expected=f"{SMALLEST} to {LARGEST} pixels", remedy="correct --longest-side")
    folder = options.here / (wish.out or Path("views") / Path(names[0]).stem)
    check_writable(folder, "--out")
    load_config(options)  # says where imported bodies lie
    sources = [_source(name, options, wish.body, folder) for name in wish.names]
    from pipeline.machine.device import choose_device
    from pipeline.viewer.opened import open_file
    from pipeline.viewer.server import ServerSettings, serve, serve_training

    device, settings = choose_device(wish.device), ServerSettings(wish.host, wish.port, folder, wish.size)
    if wish.attach:
        serve_training(wish.attach, layout_of(wish.attach, config_of(wish.attach, options)), device, settings)
    else:
        serve([avatar for source in sources for avatar in open_file(source.path, source.name, device, source.captures, source.remedy)], settings)


@dataclass(frozen=True)
class _Source:
    """Of an avatar its name, its file, the folder of its captures, and what to do where the file is bad."""

    name: str
    path: Path
    captures: Path
    remedy: str


def _source(name: str, options: RunOptions, body: str, folder: Path) -> _Source:
    """Where an avatar lies; that of a model folder is written to `folder`. Raises InputError where there is none."""
    path = options.here / Path(name).expanduser()
    if path.suffix == ".npz" or (path / "avatar.npz").is_file():
        file = path / "avatar.npz" if path.is_dir() else path
        label = file.resolve().parent.parent.name if file.stem == "avatar" else file.stem
        return _Source(label, file, file.resolve().parent.parent.parent, "name another file")
    if path.is_dir() and any((path / part).exists() for part in ("point_cloud", "point_cloud.ply")):
        if not body:
            remedy = f"./c2a view {name} --body NAME; ./c2a body list names those that are there"
            raise InputError("--body is missing", file=path, expected="the FLAME that this model was trained with", remedy=remedy)
        import_avatar(path, "gaussian_avatars", body, folder / "model.npz", options)
        return _Source(path.resolve().name, folder / "model.npz", folder, "name another folder")
    if path.is_dir() and len(Path(name).parts) > 1:
        expected = "avatar.npz in it, or a model folder of GaussianAvatars"
        raise InputError("this folder holds no avatar", file=path, expected=expected, remedy="name a capture, or a folder results/ID/METHOD")
    layout = layout_of(name, config_of(name, options))
    return _Source(name, trained_avatar(name, layout, options), layout.results.parent, f"{options.resume(name)} --from train")
