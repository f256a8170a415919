"""A GAN's generator as ONNX draws what minigan draws."""

import numpy as np
import onnxruntime

from minigan.gan.export import onnx_model
from minigan.gan.train import GanSettings, create, draw_noise, new_generator
from minigan.ops.random import Generator as Random


def test_it_draws_the_same_pictures_of_the_same_noise():
    settings = GanSettings(size=12, width=3)
    network = new_generator(settings, Random(0))
    session = onnxruntime.InferenceSession(
        onnx_model(settings, network, "0"), providers=["CPUExecutionProvider"]
    )
    for count in (1, 7):
        noise = draw_noise(settings, count, Random(count))
        (pictures,) = session.run(None, {"noise": noise})
        assert pictures.shape == (count, 1, 12, 12)
        assert np.abs(pictures - create(network, noise)).max() <= 1e-5
        assert np.ptp(pictures) > 0.5
