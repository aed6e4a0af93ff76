"""`./c2a export` and `./c2a import`: avatars in the files of other systems, as far as a method offers them (`FORMS` of its entry module)."""

from __future__ import annotations

from pathlib import Path

from pipeline.avatars.avatar_file import method_in
from pipeline.avatars.method import Form, Method
from pipeline.avatars.registry import METHODS
from pipeline.io.errors import InputError
from pipeline.io.files import check_writable
from pipeline.workflow.kept_settings import config_of
from pipeline.workflow.render_verb import trained_avatar
from pipeline.workflow.run_options import RunOptions, load_config
from pipeline.workflow.targets import layout_of


def export_avatar(name: str, options: RunOptions, form: str, out: Path, iteration: int) -> None:
    """Write a trained avatar, of a capture or an avatar.npz, in another system's form, and name the folder. Raises InputError where that form cannot hold it."""
    load_config(options)  # says where imported bodies lie
    path = options.here / name if name.endswith(".npz") else trained_avatar(name, layout_of(name, config_of(name, options)), options)
    method = method_in(path)
    forms = _forms(method)
    if form not in forms:
        expected = "one of " + ", ".join(forms) if forms else "an avatar of another method"
        raise InputError(f"--format {form}: not a form of avatars of the method {method.name}", expected=expected, remedy="correct --format")
    check_writable(options.here / out, "--out")
    print(f"wrote {forms[form].write(path, options.here / out, iteration)}")


def import_avatar(folder: Path, form: str, body: str, out: Path, options: RunOptions) -> None:
    """Write the avatar.npz of a trained model of another system. Raises InputError where the folder is not one, or the body is another."""
    if out.suffix != ".npz":
        raise InputError("an avatar is an npz file", found=str(out), expected="--out FILE.npz", remedy="correct --out")
    chosen = next((forms[form] for method in METHODS.values() if form in (forms := _forms(method))), None)
    if chosen is None:
        known = sorted({name for method in METHODS.values() for name in _forms(method)})
        raise InputError(f"--format {form}: no such form", expected="one of " + ", ".join(known), remedy="correct --format")
    load_config(options)  # says where imported bodies lie
    out = options.here / out
    check_writable(out.parent, "--out")
    from pipeline.io.arrays import save_npz

    arrays = chosen.read(options.here / folder, body)
    save_npz(out, arrays, compress=False)
    print(f"wrote {out}: {len(arrays['opacities']):,} splats")


def _forms(method: Method) -> dict[str, Form]:
    return dict(vars(method.module).get("FORMS", {}))
