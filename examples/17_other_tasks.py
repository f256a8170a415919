# %% [markdown]
# # 17 · From small to large, from sketch to photograph
#
# Lesson 16 learned the way back from blurry to sharp pictures. Nothing in it knows about blur, except the
# function that makes the inputs. With another such function, the same networks and the same losses learn
# other tasks. Here are two; each trains for half a minute, without the critic.

# %%
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from minigan.core.parallel import workers
from minigan.deblur import metrics
from minigan.deblur.pairs import unseen_pairs
from minigan.deblur.photographs import bundled_photographs
from minigan.deblur.restore import restore
from minigan.deblur.settings import PRESETS
from minigan.deblur.train import Trainer, fit_least_squares

photographs = bundled_photographs()


def learned(task, steps, **options):
    """Unseen pairs of the task, and what a network makes of their inputs after some steps."""
    settings = replace(
        PRESETS["small"],
        **{"task": task, "steps": steps, "batch": 4, "crop": 48, "adversarial_from": 1.0},
        **options,
    )
    pairs = unseen_pairs(photographs.unseen, settings.degradation, 128, each=3, seed=2)
    trainer = Trainer(settings, photographs.training)
    with workers() as pool:
        for _ in range(steps):
            trainer.step(pool)
    model = trainer.model(fit_least_squares(trainer, batches=10))
    return pairs, [restore(model, pair.blurry) for pair in pairs]


def mean_psnr(pictures, pairs):
    return np.mean([metrics.psnr(p, pair.sharp) for p, pair in zip(pictures, pairs, strict=True)])


# %% [markdown]
# ## Super-resolution
#
# The input is the photograph at half its size, enlarged again by bicubic interpolation: what a program
# does when it is asked for a larger picture. The network shall be nearer to the true one.

# %%
pairs, enlarged = learned("superres", 300)
inputs = [pair.blurry for pair in pairs]
bicubic, ours = mean_psnr(inputs, pairs), mean_psnr(enlarged, pairs)
print(f"bicubic {bicubic:.2f} dB, the network {ours:.2f} dB")
assert ours > bicubic
superres = pairs, enlarged

# %% [markdown]
# ## Sketch to photograph
#
# The input is the photograph's edges, drawn as lines. Colours and shades are gone, so that very many
# photographs fit one sketch. The network that minimises the mean difference gives something like their
# mean, grey and soft: this is where a critic is needed most, and where noise as a second input would give
# other photographs of the same sketch. (`examples/sketch.py` trains one with a critic and one without.)

# %%
pairs, painted = learned("sketch", 300)
inputs = [pair.blurry for pair in pairs]
before, after = mean_psnr(inputs, pairs), mean_psnr(painted, pairs)
print(f"the sketch itself {before:.2f} dB, what the network paints {after:.2f} dB")
assert after > before
sketch = pairs, painted
contrast = np.mean([p.std() for p in painted]) / np.mean([pair.sharp.std() for pair in pairs])
print(f"its contrast is {contrast:.2f} times that of the photographs")
assert contrast < 0.8  # the mean of many pictures is pale

# %% [markdown]
# Both are tasks of the command line, too:
#
#     minigan deblur train --task superres --scale 2
#     minigan deblur train --task sketch

# %%
figure, axes = plt.subplots(2, 3, figsize=(9, 6.4))
NAMES = {"superres": ("half the size", superres), "sketch": ("the sketch", sketch)}
for row, (given, (pairs, results)) in zip(axes, NAMES.values(), strict=True):
    shown = 4
    columns = {
        given: pairs[shown].blurry,
        "the network": results[shown],
        "true": pairs[shown].sharp,
    }
    for axis, (title, picture) in zip(row, columns.items(), strict=True):
        axis.imshow(np.moveaxis(np.clip(picture, 0, 1), 0, -1))
        axis.set_title(title)
        axis.axis("off")
figure.tight_layout()
out = Path("runs/lessons")
out.mkdir(parents=True, exist_ok=True)
figure.savefig(out / "17_other_tasks.png", dpi=120)
