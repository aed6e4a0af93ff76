"""Sizes, grids and constants of a GPU call, computed once per shape."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import NamedTuple

import torch
import triton

from pipeline.splat.gpu.launch import Slab
from pipeline.splat.gpu.project import COLOURS
from pipeline.splat.gpu.project_backward import POSE

TILE_X, TILE_Y = 8, 4  # pixels of a tile are the lanes of one warp
CHUNK, CHUNK_MANY = 8, 16  # splats processed at once; a matrix product sums over at least 16
BLOCK = 32  # splats per program of the kernels over splats
ALLOCATE_BLOCK = 1024  # tiles
FEW = 3  # channels summed one by one; more than these as matrix products


class Shape(NamedTuple):
    """Everything about a call that is a number, except the capacity for pairs."""

    device: torch.device
    views: int
    splats: int
    width: int
    height: int
    shared: bool  # one set of splats for all views
    active: int  # SH coefficients in use, 0 = features
    stored: int  # SH coefficients there are
    channels: int
    near: float
    antialias: bool
    screen_columns: int  # of `screen`, 0 = none; with 4 the last two receive absolute gradients
    background_strides: tuple[int, ...]


class Plan:
    """Sizes, grids and the constants of every kernel for one shape and capacity; also the key of the compiled kernels."""

    def __init__(self, shape: Shape, capacity: int) -> None:
        self.shape, self.capacity = shape, capacity
        self.columns, self.tile_rows = -(-shape.width // TILE_X), -(-shape.height // TILE_Y)
        self.tiles_in_view = self.columns * self.tile_rows
        self.tiles, self.blocks = shape.views * self.tiles_in_view, -(-shape.splats // BLOCK)
        self.instances = shape.views * shape.splats
        # floats in the record of a projected splat and in that of a pair's gradients
        self.record = COLOURS.value + -(-(shape.channels + 1) // 4) * 4
        self.many = shape.channels > FEW
        self.chunk = CHUNK_MANY if self.many else CHUNK
        self.padded = max(16, triton.next_power_of_2(shape.channels))
        self.by_splats, self.by_tiles = (self.blocks, shape.views, 1), (self.tiles, 1, 1)
        self.by_sets, self.by_allocations = (self.blocks, 1 if shape.shared else shape.views, 1), (-(-self.tiles // ALLOCATE_BLOCK), 1, 1)
        self.absolute = shape.screen_columns == 4
        self.pose_floats = shape.views * self.blocks * POSE.value

    @cached_property
    def lists(self) -> Slab:
        """What the backward pass needs: first slot and count of a splat, start of a tile, splats and slots in order."""
        return Slab([self.instances] * 2 + [self.tiles] + [self.capacity] * 2, torch.int32, self.shape.device)

    @cached_property
    def counters(self) -> Slab:
        """Count of a tile; pairs, pairs allocated."""
        return Slab([self.tiles, 2], torch.int32, self.shape.device)

    @cached_property
    def project(self) -> tuple:
        shape = self.shape
        numbers = shape.splats, shape.width, shape.height, self.columns, self.tile_rows, shape.near
        constants = shape.shared, shape.active, shape.stored, shape.channels, self.record, self.padded, shape.screen_columns, shape.antialias
        return *numbers, *constants, TILE_X, TILE_Y, BLOCK

    @cached_property
    def allocate(self) -> tuple:
        return self.tiles, self.capacity, self.instances, self.record, ALLOCATE_BLOCK

    @cached_property
    def scatter(self) -> tuple:
        return self.shape.splats, self.columns, self.tile_rows, self.capacity, self.record, TILE_X, TILE_Y, BLOCK

    @cached_property
    def _image(self) -> tuple:
        return self.shape.width, self.shape.height, self.columns, self.tiles_in_view, *self.shape.background_strides

    @cached_property
    def draw(self) -> tuple:
        return self.instances, *self._image, self.shape.channels, self.record, self.padded, self.many, TILE_X, TILE_Y, self.chunk

    def draw_backward(self, alpha: bool, depth: bool) -> tuple:
        constants = self.shape.channels, self.record, self.padded, self.many, alpha, depth, self.absolute, TILE_X, TILE_Y, self.chunk
        return *self._image, self.capacity, self.instances, *constants

    def project_backward(self, pose: bool, depth: bool) -> tuple:
        shape = self.shape
        numbers = shape.splats, shape.views, shape.width, shape.height, self.capacity
        constants = shape.shared, shape.active, shape.stored, shape.channels, self.record, self.padded, shape.screen_columns, pose, depth, shape.antialias
        return *numbers, *constants, BLOCK


@lru_cache(maxsize=64)
def plan_of(shape: Shape, capacity: int) -> Plan:
    return Plan(shape, capacity)
