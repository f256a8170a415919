# %% [markdown]
# # 16 · The deblurring GAN
#
# Lesson 14 showed that the inverse filter fails, and that many sharp pictures fit one blurry picture.
# Lesson 15 drew blur kernels like those of a shaking hand. So: blur sharp photographs, and let a network
# learn the way back. That alone gives the mean of all that fits, which is soft. A discriminator, here
# called a **critic**, asks for the rest.
#
# This is `minigan deblur train` in slow motion and for a minute only; so expect the effect, and no
# beautiful pictures.

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

# %% [markdown]
# ## Pairs
#
# Some photographs are for training. Others, which training never sees, are for measuring, with kernels
# of their own.

# %%
settings = replace(
    PRESETS["small"],
    steps=500,
    batch=4,
    crop=48,
    adversarial_from=0.5,  # of the steps before the critic joins
    adversarial_weight=2e-2,
)
photographs = bundled_photographs()
tests = unseen_pairs(photographs.unseen, settings.degradation, 128, each=4, seed=1)
print(f"{len(photographs.training)} photographs to learn from, {len(tests)} crops to measure on")
assert not {p.name for p in photographs.training} & {p.name for p in photographs.unseen}

# %% [markdown]
# ## Two networks
#
# The **generator** is a network with skips, like those of lesson 05: what it computes is added to the
# blurry picture, so it needs to learn the difference only. It begins with none.
#
# The **critic** gets two pictures, the blurry one and a candidate, and says for each patch how real the
# candidate looks. It learns together with the generator, and is dropped in the end.

# %%
trainer = Trainer(settings, photographs.training)
for name, network in (("generator", trainer.generator), ("critic", trainer.critic)):
    print(f"{name}: {sum(p.numpy().size for p in network.parameters()):,} numbers to learn")

# %% [markdown]
# The generator is a function of the blurry picture alone here. A GAN's generator usually gets noise as
# well, so that it can give several answers; `--noise-channels 1` gives it the blurry picture *and* a
# picture of noise. With a loss that holds every pixel in place it learns to ignore the noise.
#
# ## First without the critic
#
# As long as the results are far from sharp, a critic has nothing to teach. So the mean absolute
# difference |G(blurry) - sharp| goes first.


# %%
def train(trainer, until, pool):
    """Take steps; the mean absolute difference at each."""
    curve = []
    while trainer.steps_done < until:
        curve.append(trainer.step(pool)["content"])
    return curve


with workers() as pool:
    first_half = train(trainer, settings.first_adversarial_step, pool)
    fork = trainer.checkpoint()  # everything that decides how the training goes on
print(f"difference {np.mean(first_half[:20]):.4f} at first, {np.mean(first_half[-20:]):.4f} then")

# %% [markdown]
# ## The way forks
#
# From here two trainings go on from the very same numbers. One has the critic beside the difference; its
# **twin** goes on as before. What the critic brings, and what it costs, is the difference of the two.

# %%
twin = trainer.twin()
twin.load(fork)
with workers() as pool:
    alone = train(twin, settings.steps, pool)
    together = train(trainer, settings.steps, pool)

# %% [markdown]
# ## What came of it
#
# **PSNR** is the logarithm of the mean squared difference to the sharp picture, in dB; more is nearer.
# **Sharpness** is the sum of all differences of neighbouring pixels over that of the sharp picture; 1 is
# as sharp as that.

# %%
filters = fit_least_squares(trainer, batches=10)  # the best that any filter of 9 x 9 could do
models = {"with the critic": trainer.model(filters), "twin without": twin.model(filters)}
results = {name: [restore(model, t.blurry) for t in tests] for name, model in models.items()}
results = {"blurry": [t.blurry for t in tests], **results}
figures = {}
for name, pictures in results.items():
    psnr = np.mean([metrics.psnr(p, t.sharp) for p, t in zip(pictures, tests, strict=True)])
    sharpness = np.mean(
        [metrics.sharpness_ratio(p, t.sharp) for p, t in zip(pictures, tests, strict=True)]
    )
    figures[name] = psnr, sharpness
    print(f"{name:16} {psnr:5.2f} dB, sharpness {sharpness:.3f}")
blurry, gan, alone_ = (figures[n] for n in ("blurry", "with the critic", "twin without"))
assert min(gan[0], alone_[0]) > blurry[0]  # both are nearer to the sharp pictures
assert gan[1] > alone_[1]  # the critic makes it sharper,
assert gan[0] < alone_[0]  # and that costs some PSNR

# %% [markdown]
# Both gain over the blurry pictures, on photographs that nobody trained on. The critic makes the result
# sharper and takes it a little further from the true pixels: what it asks for is that the result *looks*
# real, and of many pictures that do, it need not be the true one. How much of each one wants is the
# adversarial weight; `docs/deblurring.md` has the whole curve, from trainings of half an hour.
#
# What is kept is the generator. `minigan deblur restore photo.jpg` uses one that was trained longer.

# %%
figure, axes = plt.subplots(2, 4, figsize=(12, 6.4))
hardness = [metrics.psnr(t.blurry, t.sharp) for t in tests]
shown = [min(range(i, i + 4), key=hardness.__getitem__) for i in (0, 8)]  # of two photographs
for row, t in zip(axes, shown, strict=True):
    pictures = {name: pictures[t] for name, pictures in results.items()} | {"sharp": tests[t].sharp}
    for axis, (name, picture) in zip(row, pictures.items(), strict=True):
        axis.imshow(np.moveaxis(np.clip(picture, 0, 1), 0, -1))
        psnr = "" if name == "sharp" else f", {metrics.psnr(picture, tests[t].sharp):.1f} dB"
        axis.set_title(name + psnr, fontsize=10)
        axis.axis("off")
figure.tight_layout()
out = Path("runs/lessons")
out.mkdir(parents=True, exist_ok=True)
figure.savefig(out / "16_deblurring_gan.png", dpi=120)
