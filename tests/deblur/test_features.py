"""Networks of features: the layout is read off the names, the numbers are PyTorch's."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from minigan.core.errors import ModelFileError
from minigan.core.tensor import Tensor
from minigan.deblur.content import content_loss
from minigan.deblur.networks.features import MEAN, STD, FeatureNetwork, load_features
from minigan.deblur.settings import ContentSettings

# VGG19's convolutions and their numbers, as torchvision numbers them (Simonyan & Zisserman 2015, E).
VGG19 = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)


def small_vgg19(seed=0):
    """VGG19's layers, with few channels and random weights."""
    rng = np.random.default_rng(seed)
    widths = [2, 2, 3, 3, *[4] * 4, *[5] * 8]
    arrays, channels = {}, 3
    for number, width in zip(VGG19, widths, strict=True):
        weight = rng.standard_normal((width, channels, 3, 3)) * np.sqrt(2 / (9 * channels))
        arrays[f"features.{number}.weight"] = weight.astype(np.float32)
        arrays[f"features.{number}.bias"] = rng.standard_normal(width).astype(np.float32)
        channels = width
    # What a classifier has besides.
    arrays["classifier.0.weight"] = rng.standard_normal((7, 5 * 49)).astype(np.float32)
    return arrays


def picture(size=(16, 24), seed=1):
    return np.random.default_rng(seed).random((2, 3, *size), dtype=np.float32)


def in_pytorch(arrays, last, x, norms=False):
    """The layers up to number `last`, one by one, as torchvision's VGG has them."""
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    y = (torch.tensor(x) - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    numbers = sorted(int(n.split(".")[1]) for n, a in arrays.items() if a.ndim == 4)
    t = {name: torch.tensor(array) for name, array in arrays.items()}
    for number in range(last + 1):
        name = f"features.{number}"
        if number in numbers:
            y = f.conv2d(y, t[f"{name}.weight"], t[f"{name}.bias"], padding=1)
        elif f"{name}.running_mean" in t:
            stats = (t[f"{name}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
            y = f.batch_norm(y, *stats)
        elif number + 1 in numbers and number - 1 not in numbers and not_relu(arrays, number):
            y = f.max_pool2d(y, 2)
        else:
            y = f.relu(y)
    return y.numpy()


def not_relu(arrays, number):
    return f"features.{number - 1}.running_mean" not in arrays


@pytest.mark.parametrize(
    ("layer", "last"), [("conv1_1", 0), ("conv2_2", 7), ("conv3_3", 14), ("conv5_4", 34)]
)
def test_vgg19_gives_pytorchs_features(layer, last):
    arrays = small_vgg19()
    ours = FeatureNetwork(arrays, layer)(Tensor(picture())).numpy()
    np.testing.assert_allclose(ours, in_pytorch(arrays, last, picture()), rtol=1e-3, atol=1e-4)


def test_batch_norms_are_part_of_their_convolutions():
    rng = np.random.default_rng(3)
    arrays, channels = {}, 3
    for number, width in ((0, 4), (3, 5), (7, 6)):  # conv, norm, relu, conv, norm, relu, pool, conv
        weight = rng.standard_normal((width, channels, 3, 3)).astype(np.float32) / 5
        arrays[f"features.{number}.weight"] = weight
        arrays[f"features.{number}.bias"] = rng.standard_normal(width).astype(np.float32)
        for name in ("weight", "bias", "running_mean", "running_var"):
            arrays[f"features.{number + 1}.{name}"] = rng.random(width, dtype=np.float32) + 0.1
        channels = width
    network = FeatureNetwork(arrays, "conv2_1")
    theirs = in_pytorch(arrays, 8, picture(), norms=True)
    np.testing.assert_allclose(network(Tensor(picture())).numpy(), theirs, rtol=1e-3, atol=1e-4)


def test_a_file_in_any_type_gives_a_loss_that_is_0_for_equal_pictures(tmp_path):
    path = tmp_path / "vgg.safetensors"
    save_file({n: a.astype(np.float16) for n, a in small_vgg19().items()}, path)
    loss, features = content_loss(ContentSettings("perceptual", str(path)))
    assert features is not None
    x, y = Tensor(picture()), Tensor(picture(seed=2)).requires_grad_()
    assert loss(x, x).item() == 0
    both = features(x).numpy(), features(y).numpy()
    value = loss(y, x)
    assert value.item() == pytest.approx(np.square(both[0] - both[1]).mean(), rel=1e-5)
    value.backward()
    assert np.abs(y.grad.numpy()).max() > 0
    assert all(p.grad is None for p in features.parameters())


def test_names_need_no_prefix_and_the_checksum_tells_networks_apart():
    arrays = {name.removeprefix("features."): a for name, a in small_vgg19().items()}
    a, b = (FeatureNetwork(x, "conv3_3") for x in (arrays, small_vgg19()))
    assert a.checksum == b.checksum != FeatureNetwork(small_vgg19(1), "conv3_3").checksum


def broken(**changes):
    arrays = small_vgg19()
    for name, change in changes.items():
        full = f"features.{name}"
        arrays[full] = change(arrays[full])
    return arrays


@pytest.mark.parametrize(
    ("arrays", "layer", "told"),
    [
        ({}, "conv1_1", "no tensor of four dimensions"),
        ({"head.weight": np.zeros((2, 3))}, "conv1_1", "no tensor of four dimensions"),
        (small_vgg19(), "conv3_5", "it has no layer 'conv3_5'; it has conv1_1, conv1_2, conv2_1"),
        (broken(**{"2.weight": lambda a: a[:, :1]}), "conv1_2", r"needs \(out, 2, k, k\)"),
        (broken(**{"2.weight": lambda a: a * np.nan}), "conv1_2", "no finite numbers"),
        (
            {n: a for n, a in small_vgg19().items() if not n.startswith("features.2.")},
            "conv1_2",
            "there are 4 without weights",
        ),
    ],
)
def test_what_is_no_such_network_is_refused_in_a_sentence(tmp_path, arrays, layer, told):
    path = tmp_path / "strange.safetensors"
    save_file({n: np.ascontiguousarray(a) for n, a in arrays.items()}, path)
    with pytest.raises(ModelFileError, match=told) as caught:
        load_features(str(path), layer)
    assert str(path) in str(caught.value)


def test_our_own_network_has_the_layers_that_are_asked_for_and_sees_blur():
    features = load_features(None, ContentSettings("perceptual").layer)
    sharp = picture((32, 32))
    soft = sharp.copy()
    soft[..., 1:] = (sharp[..., 1:] + sharp[..., :-1]) / 2
    loss, _ = content_loss(ContentSettings("perceptual"))
    assert loss(Tensor(soft), Tensor(sharp)).item() > 0
    assert features(Tensor(sharp)).shape[2:] == (8, 8)
