"""Which joints of differently named skeletons mean the same: the one table of names, and limits of their angles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# A slot is a place of the body; a chain (spine, neck) lists its joints from the body outwards. Stems of sided slots get left or right as the skeleton's rig
# writes it. `/`: other names of the same joint, `+`: joints that all have the slot's rotation. limit: largest angle of the joint from rest, degrees.
_TABLE = """
slot       limit  smpl           anny                                mixamo       cmu       biped                asf
hips       180    pelvis         root                                hips         hips      pelvis/bip01/bip001  root
jaw        40     jaw            jaw                                 jaw          jaw       jaw                  -
eye*       45     eye/eyesmplhf  eye                                 eye          eye       eye                  -
collar*    50     collar         clavicle                            shoulder     collar    clavicle             clavicle
upperarm*  180    shoulder       upperarm01                          arm          shoulder  upperarm             humerus
forearm*   165    elbow          lowerarm01                          forearm      elbow     forearm              radius
hand*      100    wrist          wrist                               hand         wrist     hand                 wrist
thigh*     150    hip            upperleg01                          upleg        hip       thigh                femur
shin*      165    knee           lowerleg01                          leg          knee      calf                 tibia
foot*      75     ankle          foot                                foot         ankle     foot                 foot
toe*       75     foot           toe1-1+toe2-1+toe3-1+toe4-1+toe5-1  toebase      toe       toe0                 toes
thumb1*    120    thumb1         finger1-1                           handthumb1   -         finger0              -
thumb2*    120    thumb2         finger1-2                           handthumb2   -         finger01             -
thumb3*    120    thumb3         finger1-3                           handthumb3   -         finger02             -
index1*    120    index1         finger2-1                           handindex1   -         finger1              -
index2*    120    index2         finger2-2                           handindex2   -         finger11             -
index3*    120    index3         finger2-3                           handindex3   -         finger12             -
middle1*   120    middle1        finger3-1                           handmiddle1  -         finger2              -
middle2*   120    middle2        finger3-2                           handmiddle2  -         finger21             -
middle3*   120    middle3        finger3-3                           handmiddle3  -         finger22             -
ring1*     120    ring1          finger4-1                           handring1    -         finger3              -
ring2*     120    ring2          finger4-2                           handring2    -         finger31             -
ring3*     120    ring3          finger4-3                           handring3    -         finger32             -
pinky1*    120    pinky1         finger5-1                           handpinky1   -         finger4              -
pinky2*    120    pinky2         finger5-2                           handpinky2   -         finger41             -
pinky3*    120    pinky3         finger5-3                           handpinky3   -         finger42             -
"""
_CHAINS = """
rig     spine                                    neck
smpl    spine1,spine2,spine3                     neck,head
anny    spine05,spine04,spine03,spine02,spine01  neck01,neck02,neck03,head
mixamo  lowerback,spine,spine1,spine2            neck,neck1,head
cmu     lowerback,chest,chest2,chest3,chest4     lowerneck,neck,head
biped   spine,spine1,spine2,spine3               neck,neck1,head
asf     lowerback,upperback,thorax               lowerneck,upperneck,head
"""
_ROWS = [line.split() for line in _TABLE.strip().splitlines()]
_chains = [line.split() for line in _CHAINS.strip().splitlines()[1:]]
_ROWS += [["spine", "60", *(row[1] for row in _chains)], ["neck", "70", *(row[2] for row in _chains)]]
RIGS = tuple(_ROWS[0][2:])
"""SMPL, SMPL-X, FLAME; Anny; Mixamo, MotionBuilder; CMU as 3dsMax and Daz have it, Perfume; 3dsMax Biped; CMU's ASF."""
CHAINS = ("spine", "neck")
SIDES = ("left", "right")
BONES = {"upperarm": "forearm", "forearm": "hand", "hand": "middle1", "thigh": "shin", "shin": "foot"} | {
    f"{finger}{n}": f"{finger}{n + 1}" for finger in ("thumb", "index", "middle", "ring", "pinky") for n in (1, 2)
}
"""Slots whose bone points at the next slot's joint, without the side."""
LIMITS = {row[0].rstrip("*"): float(row[1]) for row in _ROWS[1:]}


@dataclass(frozen=True)
class Slots:
    """Where the joints of a skeleton belong. rig: column of the table that suits best. joints: {slot: joints}; a chain's in order, others all turn alike."""

    rig: str
    joints: Mapping[str, tuple[int, ...]]

    def __contains__(self, slot: str) -> bool:
        return slot in self.joints

    def first(self, slot: str) -> int:
        """The joint of a slot; of a chain the one next to the body."""
        return self.joints[slot][0]

    def last(self, slot: str) -> int:
        """The joint of a slot; of a chain the outermost."""
        return self.joints[slot][-1]


def slots_of(names: Sequence[str]) -> Slots:
    """The slots of a skeleton's joints: those of the rig that knows most of them."""
    known = {plain(name): number for number, name in reversed(list(enumerate(names)))}
    readings = [Slots(rig, _matches(column, known)) for column, rig in enumerate(RIGS, start=2)]
    return max(readings, key=lambda slots: (len({joint for joints in slots.joints.values() for joint in joints}), -RIGS.index(slots.rig)))


def without_side(slot: str) -> str:
    """`left thigh` as `thigh`."""
    return slot.removeprefix("left ").removeprefix("right ")


def plain(name: str) -> str:
    """Without a namespace, in lower case, letters and digits alone: `mixamorig:LeftUpLeg` as `leftupleg`."""
    return re.sub("[^a-z0-9]", "", name.split(":")[-1].lower()).removeprefix("mixamorig")


def _matches(column: int, known: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    matches = {}
    for row in _ROWS[1:]:
        for side in SIDES if row[0].endswith("*") else ("",):
            joints = [joint for cell in re.split(r"[,+]", row[column]) if (joint := _first(cell.split("/"), side, known)) is not None]
            if joints:
                matches[f"{side} {row[0].rstrip('*')}".strip()] = tuple(joints)
    return matches


def _first(stems: Sequence[str], side: str, known: Mapping[str, int]) -> int | None:
    for stem in map(plain, stems):
        forms = (f"{side}{stem}", f"{side[0]}{stem}", f"{stem}{side[0]}", f"bip01{side[0]}{stem}", f"bip001{side[0]}{stem}") if side else ()
        for form in forms or (stem, f"bip01{stem}", f"bip001{stem}"):
            if form in known:
                return known[form]
    return None
