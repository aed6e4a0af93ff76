"""`./c2a body` and the column `model`: an imported model by name; names that do not exist, with those that do; nothing half-written."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.body.bake import landmark_views, landmarks
from pipeline.body.importers import importer
from pipeline.body.importers.flame import read_flame
from pipeline.body.importers.source import model_arrays
from pipeline.body.model import load_model, model_of
from pipeline.body.store import checked_arrays, with_facts
from pipeline.contract.captures_table import read_captures
from pipeline.io.errors import InputError
from pipeline.workflow.body_verb import body_verb
from pipeline.workflow.run_options import RunOptions
from tests.flame_standin import TO_FLAME, write_flame, write_masks

FLAT = np.zeros((5023, 3, 400), np.uint8)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the files of a FLAME whose bases are zero; a command on them, as from the command line."""
    monkeypatch.setattr(importer, "detections", lambda model: [[] for _ in range(478)])
    monkeypatch.setenv("C2A_BODIES", "")
    write_flame(tmp_path / "flame.pkl", shapedirs=FLAT)

    def command(*words: str, name: str = "", out=None, masks=None, teeth: bool = False) -> int:  # noqa: ANN001
        options = RunOptions(sets=(f"bodies={tmp_path / 'bodies'}",), here=tmp_path)
        return body_verb(words, name, masks, teeth, out, options)

    command.folder = tmp_path  # type: ignore[attr-defined]
    return command


def test_import_list_show_and_the_column_model(place, capsys):
    assert place("import", "flame", "flame.pkl", name="mine", teeth=True) == 0
    place("list")
    printed = capsys.readouterr().out
    assert "anny_head" in printed and "mine" in printed and "imported" in printed
    place("show", "mine", out="mine.png")
    assert "vertices 5143" in capsys.readouterr().out
    image = cv2.imread(str(place.folder / "mine.png"))
    assert image.shape[0] == 900 and len(np.unique(image.reshape(-1, 3), axis=0)) > 200
    table = place.folder / "captures.tsv"
    table.write_text("id\tkind\tpath\tmodel\na\trig\tx\tmine\nb\trig\tx\tbody\nc\trig\tx\tanny_body\n")
    rows = read_captures(table)
    assert [(row.model, row.body) for row in rows.values()] == [("head", "mine"), ("body", ""), ("body", "anny_body")]
    table.write_text("id\tkind\tpath\tmodel\na\trig\tx\tyours\n")
    with pytest.raises(InputError, match=r"(?s)'yours'.*head \| body \| mine \| anny_body"):
        read_captures(table)


@pytest.mark.parametrize(
    "words, options, match",
    [
        (("import", "flame", "flame.pkl"), {}, "needs a name"),
        (("import", "flame", "flame.pkl"), {"name": "anny_head"}, "needs a name"),
        (("import", "flame", "flame.pkl"), {"name": "head"}, "needs a name"),
        (("import", "flame", "flame.pkl"), {"name": "../x"}, "needs a name"),
        (("import", "flame", "nothing.pkl"), {"name": "x"}, "nothing.pkl"),
        (("import", "smpl", "flame.pkl"), {"name": "x"}, "wrong shape"),
        (("import",), {"name": "x"}, "no format"),
        (("show", "nobody"), {"out": "x.png"}, r"(?s)no body model 'nobody'.*anny_head"),
        (("show", "anny_head"), {"out": "x.jpg"}, "nothing to write"),
        (("show",), {}, "show takes one model"),
        (("delete", "x"), {}, "no action 'delete'"),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(place, words, options, match):
    with pytest.raises(InputError, match=match):
        place(*words, **options)
    assert not list(place.folder.glob("bodies/*")) and not list(place.folder.glob("*.png"))


def test_landmarks_of_another_mesh_with_other_axes_lie_where_ours_do(tmp_path, monkeypatch):
    """A few of the 150 views; the stand-in has our head's geometry."""
    for module, name, value in ((landmark_views, "YAWS", (-14, 0, 14)), (landmark_views, "PITCHES", (-4, 6)), (landmark_views, "PEOPLE", 1)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(landmarks, "FEWEST_VIEWS", 2)
    files = write_flame(tmp_path / "flame.pkl", shapedirs=FLAT), write_masks(tmp_path / "masks.pkl")
    arrays, facts = model_arrays(read_flame([files[0]], files[1], teeth=True), files[0])
    model = model_of(checked_arrays(with_facts(arrays, facts), files[0]), files[0])
    face = landmarks.face_table(model, landmark_views.detections(model))
    ours = load_model("anny_head")
    expected = ours.landmarks["mediapipe_face"].points(ours.template).numpy() @ TO_FLAME.T
    places = (model.template.numpy()[face[0]] * face[1][..., None]).sum(1)
    both = face[2] & ours.landmarks["mediapipe_face"].valid.numpy()
    distance = 1000 * np.linalg.norm(places - expected, axis=1)[both]
    assert both.sum() > 350 and np.median(distance) < 2 and np.quantile(distance, 0.9) < 5, (both.sum(), np.median(distance))
