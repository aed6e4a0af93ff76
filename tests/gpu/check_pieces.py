"""The kernels around the rasteriser on a real GPU: against their torch twins in double precision, in CUDA graphs, and how long they take.

    python -m tests.gpu.check_pieces [--quick]

Exits with 1 where a piece disagrees with its twin, or a replayed graph with the eager call. A graph holds 20 calls;
times are per call, the median of 30 replays.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

from pipeline.avatars.rigged.binding import bind_reference
from pipeline.avatars.rigged.binding_gpu import BindOnGpu
from pipeline.avatars.rigged.regularise import splat_terms_reference
from pipeline.avatars.rigged.regularise_gpu import splat_terms
from pipeline.avatars.rigged.settings import SPLAT_TERMS
from pipeline.avatars.splats.density_gpu import accumulate
from pipeline.body.model import ParametricModel, load_model
from pipeline.body.posing_gpu import pose_vertices
from pipeline.body.posing_tables import PosingTables
from pipeline.training.adam_gpu import Adam
from pipeline.training.image_loss import image_terms_reference
from pipeline.training.image_loss_gpu import image_terms_on_gpu
from pipeline.training.row_adam_gpu import RowAdam
from pipeline.training.target import Target
from tests.bench.flame_size import model as flame_size

CALLS, REPLAYS = 20, 30
Function = Callable[..., tuple[Tensor, ...]]


@dataclass
class Piece:
    """A function of floats that need gradients, and its twin, which gets the same floats in double precision."""

    name: str
    ours: Function
    twin: Function | None
    floats: list[Tensor]
    upstream: dict[torch.dtype, list[Tensor]] = field(default_factory=dict)

    def results(self, function: Function, dtype: torch.dtype = torch.float32, backward: bool = True) -> list[Tensor]:
        """Values, and gradients of a fixed combination of them."""
        inputs = [x.to(dtype).detach().requires_grad_(backward) for x in self.floats]
        values = function(*inputs)
        if not backward or not inputs:
            return list(values)
        if dtype not in self.upstream:
            self.upstream[dtype] = [torch.sin(torch.arange(v.numel(), device=v.device, dtype=dtype)).view_as(v) + 1.5 for v in values]
        return [*values, *torch.autograd.grad(values, inputs, self.upstream[dtype])]


@torch.no_grad()
def error(ours: Tensor, reference: Tensor) -> float:
    """Largest difference, as a part of the largest value."""
    return float((ours.double() - reference.double()).abs().max() / reference.abs().max().clamp_min(1e-300))


def captured(call: Callable[[], list[Tensor]], calls: int) -> tuple[torch.cuda.CUDAGraph, list[Tensor]]:
    """A graph of `calls` calls, and what the last one returned."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            results = call()
    return graph, results


def microseconds(call: Callable[[], list[Tensor]]) -> float:
    graph, _ = captured(call, CALLS)
    times = []
    for _ in range(REPLAYS):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1000 / CALLS)
    return sorted(times)[len(times) // 2]


def check(piece: Piece) -> bool:
    """Print one row; whether all is well."""
    ours = piece.results(piece.ours)
    values = len(piece.results(piece.ours, backward=False))
    off = [error(a, b) for a, b in zip(ours, piece.results(piece.twin, torch.float64))] if piece.twin else [0.0]
    graph, replayed = captured(lambda: piece.results(piece.ours), 1)
    same = True
    for _ in range(2):
        graph.replay()
        same &= all(torch.equal(a, b) for a, b in zip(ours, replayed))
    good = max(off[:values]) < 1e-5 and max(off[values:], default=0) < 1e-4 and same
    forward, both = microseconds(lambda: piece.results(piece.ours, backward=False)), microseconds(lambda: piece.results(piece.ours))
    errors = f"{max(off[:values]):9.1e} {max(off[values:], default=0):9.1e}"
    print(f"{piece.name:34} {errors} {same!s:>6} {forward:8.1f} {both:8.1f} {'' if good else 'WRONG'}", flush=True)
    return good


def random(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed)).cuda()


def image_loss(height: int, width: int, views: int, masked: bool) -> Piece:
    """Of 16 cameras, each image near its target."""
    g = torch.Generator().manual_seed(0)
    rgba = torch.randint(0, 256, (views + 2, height, width, 4), dtype=torch.uint8, generator=g)
    valid = (torch.rand(16, height, width, generator=g) < 0.95).to(torch.uint8)
    weight = 1 / valid.sum((1, 2)) if masked else torch.full((16,), 1 / (height * width))
    slot, camera = torch.arange(views).flip(0) + 2, torch.arange(views) % 5 + 3
    target = Target(rgba.cuda(), slot.cuda(), camera.cuda(), valid.cuda() if masked else None, weight.float().cuda())
    background = torch.rand(3, generator=g).cuda()
    color, alpha = target.over(background)
    image = (0.8 * color.cpu() + 0.2 * torch.rand(color.shape, generator=g)).cuda()
    return Piece(
        f"image loss {width}x{height}, {views} view(s){', masked' if masked else ''}",
        lambda x, a, c: image_terms_on_gpu(x, a, target, background, c, (0.8, 0.2, 1.0))[:1],
        lambda x, a, c: image_terms_reference(x, a, target, background, c, (0.8, 0.2, 1.0))[:1],
        [image, 0.9 * alpha + 0.05, random(16, 3, 4, scale=0.1)],
    )


def binding(count: int, skewed: bool) -> Piece:
    model = load_model("anny_head").to("cuda")
    chance = torch.rand(len(model.faces), generator=torch.Generator().manual_seed(0)) ** (12 if skewed else 0)
    owners = torch.multinomial(chance, count, replacement=True, generator=torch.Generator().manual_seed(1)).cuda()
    floats = [model.template, random(count, 3), random(count, 4, seed=1), random(count, 3, seed=2)]
    most = int(torch.bincount(owners).max())
    return Piece(
        f"bind {count} splats, <= {most} a face",
        lambda v, *local: BindOnGpu.apply(v, model.faces, owners, *local),
        lambda v, *local: bind_reference(v, model.faces, owners, *local),
        floats,
    )


def double(model: ParametricModel) -> ParametricModel:
    return replace(model, **{f.name: x.double() for f in fields(model) if isinstance(x := getattr(model, f.name), Tensor) and x.is_floating_point()})


def posing(model: ParametricModel, frames: int) -> Piece:
    model = replace(model, identity_basis=model.identity_basis[:0], identity_joints=model.identity_joints[:0]).to("cuda")
    tables, wide = PosingTables.of(model), double(model)
    joints, components = len(model.parents), len(model.expression_basis)
    floats = [random(model.vertex_count, 3, scale=1e-3), random(frames, components, scale=0.3), random(frames, joints, 3, scale=0.3), random(frames, 3)]
    return Piece(
        f"pose {model.name}, {frames} frame(s)",
        lambda o, e, p, t: (pose_vertices(tables, o, e, p, t, 1.1),),
        lambda o, e, p, t: (wide.pose_vertices(o[:0, 0], e, p, t, 1.1, o).vertices,),
        floats,
    )


def corrected(model: ParametricModel) -> ParametricModel:
    """The model with random pose correctives of a millimetre or so."""
    shape = (9 * (len(model.parents) - 1), model.vertex_count, 3)
    pose_basis = 0.002 * torch.randn(shape, generator=torch.Generator().manual_seed(5))
    return replace(model, name=f"{model.name}, corrected", pose_basis=pose_basis)


def own_terms(count: int) -> Piece:
    weights = {"position": 0.01, "scale": 1.0, "opacity": 0.1, "anisotropy": 0.2}
    margins = {"position": 1.0, "scale": 0.6, "anisotropy": 3.0}
    visible = random(count, seed=5) > 0

    def twin(means: Tensor, log_scales: Tensor, opacities: Tensor) -> tuple[Tensor, ...]:
        local = {"means": means, "log_scales": log_scales, "opacities": opacities}
        terms = splat_terms_reference(local, weights, margins, visible)
        return (torch.stack([terms[name] for name in SPLAT_TERMS]),)

    return Piece(
        f"own terms of {count} splats",
        lambda m, s, o: (splat_terms({"means": m, "log_scales": s, "opacities": o}, weights, margins, visible),),
        twin,
        [random(count, 3), random(count, 3, seed=1), random(count, seed=2)],
    )


def statistics(count: int, views: int) -> Piece:
    gradient, radii = random(views, count, 2), torch.randint(0, 3, (views, count)).float().cuda()
    grad_accum, visible_count, skip = torch.zeros(count).cuda(), torch.zeros(count).cuda(), torch.tensor(0.0).cuda()

    def ours() -> tuple[Tensor, ...]:
        grad_accum.zero_()
        visible_count.zero_()
        accumulate(gradient, radii, (550, 802), skip, grad_accum, visible_count)
        return grad_accum.clone(), visible_count.clone()

    def twin() -> tuple[Tensor, ...]:
        return (gradient.double() * torch.tensor([275.0, 401.0]).cuda()).norm(dim=-1).sum(0), (radii > 0).float().sum(0)

    return Piece(f"density statistics {count}, {views} view(s) (+ 4 copies)", ours, twin, [])


def rows(model: ParametricModel) -> Piece:
    shapes = {"pose": (len(model.parents), 3), "expression": (len(model.expression_basis),), "translation": (3,)}
    start = {name: random(9, *shape) for name, shape in shapes.items()}
    gradients = {name: random(*shape, seed=1) for name, shape in shapes.items()}
    index, skip, mark = torch.tensor(4).cuda(), torch.tensor(0.0).cuda(), torch.tensor(1.0).cuda()
    tables = {name: table.clone() for name, table in start.items()}
    adam = RowAdam(tables, torch.tensor([0.01, 0.02, 0.03]).cuda(), (0.9, 0.999), 1e-15, mark)

    def ours() -> tuple[Tensor, ...]:
        for group in (adam.first, adam.second, adam.steps):
            for value in group.values():
                value.zero_()
        for name, table in tables.items():
            table.copy_(start[name])
        adam.step(index, gradients, skip)
        return tuple(tables[name][4] - start[name][4] for name in shapes)

    return Piece(f"rows of {model.name} (+ 18 copies)", ours, None, [])


def adam(count: int) -> Piece:
    """A first step of rate 1 on the parameters of splats with SH of degree 3: minus the gradient's sign."""
    starts = [random(count, *shape) for shape in ((3,), (4,), (3,), (), (1, 3), (15, 3))]
    gradients = [random(*start.shape, seed=1) for start in starts]
    values = [torch.nn.Parameter(start.clone()) for start in starts]
    rates, skip, mark = torch.ones(len(values)).cuda(), torch.tensor(0.0).cuda(), torch.tensor(1.0).cuda()
    optimiser = Adam([{"params": [value]} for value in values], (0.9, 0.999), 1e-15, rates, skip, mark)

    @torch.no_grad()
    def ours() -> tuple[Tensor, ...]:
        for value, start, gradient in zip(values, starts, gradients):
            value.copy_(start)
            value.grad = gradient
            for moment in optimiser.state[value].values():
                moment.zero_()
        optimiser.step()
        return tuple(value - start for value, start in zip(values, starts))

    return Piece(f"Adam of {count} splats (+ 30 copies)", ours, lambda: tuple(-g.double() / (g.double().abs() + 1e-15) for g in gradients), [])


def pieces(quick: bool) -> Iterator[Piece]:
    head, body = load_model("anny_head"), load_model("anny_body")
    yield image_loss(802, 550, 1, False)
    yield binding(100_000, False)
    yield posing(head, 1)
    yield own_terms(100_000)
    yield statistics(100_000, 1)
    yield rows(body)
    yield adam(100_000)
    if quick:
        return
    yield image_loss(2048, 2048, 1, True)
    yield image_loss(257, 131, 4, True)
    yield statistics(100_000, 16)
    yield binding(100_000, True)
    yield posing(body, 1)
    yield posing(flame_size(), 1)
    yield posing(corrected(flame_size()), 1)
    yield posing(corrected(head), 2)
    yield posing(head, 16)
    yield own_terms(1_000)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer sizes")
    quick = parser.parse_args().quick
    print(torch.cuda.get_device_name(), "torch", torch.__version__)
    print(f"{'piece':34} {'value':>9} {'gradient':>9} {'graph':>6} {'forward':>8} {'+ back':>8}  (errors relative to the largest value; microseconds)")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return 0 if all([check(piece) for piece in pieces(quick)]) else 1


if __name__ == "__main__":
    sys.exit(main())
