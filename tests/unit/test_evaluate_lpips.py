import numpy as np
import pytest
import torch

from pipeline.evaluation.lpips import _ALEXNET, _VGG16, Lpips
from pipeline.io.errors import InputError

ALEX = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
VGG_CHANNELS = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]


def _save(folder, name, shapes, widths):
    random = torch.Generator().manual_seed(0)
    backbone = {}
    for index, (out, into, size) in shapes.items():
        backbone[f"features.{index}.weight"] = torch.randn(out, into, size, size, generator=random) * (into * size * size) ** -0.5
        backbone[f"features.{index}.bias"] = torch.randn(out, generator=random) * 0.1
    torch.save(backbone, folder / f"{name}.pth")
    torch.save({f"lin{i}.model.1.weight": torch.rand(1, width, 1, 1, generator=random) for i, width in enumerate(widths)}, folder / f"{name}_linear.pth")
    return folder / f"{name}.pth", folder / f"{name}_linear.pth"


def _vgg_shapes():
    shapes, into, indices = {}, 3, iter(i for _, stage in _VGG16 for i, _, _ in stage)
    for width, count in VGG_CHANNELS:
        for _ in range(count):
            shapes[next(indices)] = (width, into, 3)
            into = width
    return shapes


@pytest.fixture(scope="module")
def alex(tmp_path_factory):
    return Lpips(*_save(tmp_path_factory.mktemp("lpips"), "alex", ALEX, [64, 192, 384, 256, 256]))


def test_distance_grows_with_the_error(alex):
    random = np.random.default_rng(0)
    a = random.random((70, 80, 3))
    noise = random.normal(0, 1, a.shape)
    distances = [alex.distance(a, a + scale * noise) for scale in (0, 0.02, 0.1, 0.5)]
    assert distances[0] == 0 and distances == sorted(distances) and distances[1] > 0
    assert alex.distance(a, a + noise) == pytest.approx(alex.distance(a + noise, a), rel=1e-5)


def test_against_the_networks_layers_written_one_by_one(tmp_path):
    """The five feature maps come from torch's own layers in torchvision's order: conv, relu and pooling."""
    files = _save(tmp_path, "alex", ALEX, [64, 192, 384, 256, 256])
    state, linear = torch.load(files[0], weights_only=True), torch.load(files[1], weights_only=True)
    nn = torch.nn
    layers = [
        nn.Conv2d(3, 64, 11, 4, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, 1, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, 1, 1),
        nn.ReLU(),
    ]
    network = nn.Sequential(*layers, nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU(), nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU())
    network.load_state_dict({name.removeprefix("features."): value for name, value in state.items()})
    a, b = np.random.default_rng(1).random((2, 64, 72, 3)).astype(np.float32)
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    x = ((torch.from_numpy(np.stack([a, b])) * 2 - 1 - shift) / scale).permute(0, 3, 1, 2)
    expected, stage = 0.0, 0
    with torch.no_grad():
        for index, layer in enumerate(network):
            x = layer(x)
            if index in (1, 4, 7, 9, 11):
                unit = torch.nn.functional.normalize(x, dim=1)
                expected += float((linear[f"lin{stage}.model.1.weight"][0] * (unit[0] - unit[1]) ** 2).sum(0).mean())
                stage += 1
    assert len(_ALEXNET) == stage
    assert Lpips(*files).distance(a, b) == pytest.approx(expected, rel=1e-4)


def test_vgg_is_told_by_its_kernels(tmp_path):
    network = Lpips(*_save(tmp_path, "vgg", _vgg_shapes(), [width for width, _ in VGG_CHANNELS]))
    a = np.random.default_rng(0).random((32, 32, 3))
    assert network.name == "vgg" and network.distance(a, a) == 0 and network.distance(a, 1 - a) > 0


def test_bad_weights_are_named(tmp_path, alex):
    backbone, _ = _save(tmp_path, "alex", ALEX, [64, 192, 384, 256, 256])
    _, wrong = _save(tmp_path, "vgg", {0: (64, 3, 3)}, [64, 128, 256, 512, 512])
    with pytest.raises(InputError, match="vgg_linear"):
        Lpips(backbone, wrong)
    with pytest.raises(InputError, match="state dict"):
        Lpips(tmp_path / "absent.pth", wrong)
    torch.save({"features.0.weight": torch.zeros(8, 3, 7, 7)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="neither AlexNet nor VGG16"):
        Lpips(tmp_path / "other.pth", wrong)
