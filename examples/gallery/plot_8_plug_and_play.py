"""
Plug and play: a denoiser as the prior
======================================

A proximal map of a regulariser is a denoiser. Plug-and-play turns that round: any denoiser takes
its place, be it a filter, a function of another package or a network.
"""

from skimage.restoration import denoise_nl_means

import opalg as oa
from opalg import functionals as fn
from opalg import solvers, tomo

grid = oa.Grid((128, 128), spacing=2.0)
geometry = tomo.ParallelBeam(angles=45, detector=192, pitch=2.0)
A = tomo.XrayTransform(grid, geometry)

phantom = tomo.phantoms.shepp_logan(diameter=230.0)
truth = phantom.sample(grid)
y = tomo.noise.poisson(phantom.project(geometry), photons=5e4, seed=0)


# %%
# Non-local means averages patches that look alike. It takes an image and gives one: nothing more is
# asked of it.
def nonlocal_means(x):
    return denoise_nl_means(x, patch_size=5, patch_distance=5, h=3e-4, fast_mode=True)


G = oa.Gradient(grid)
report = solvers.compare(
    {
        "SIRT": solvers.SIRT(A, iterations=60, minimum=0.0),
        "TV": solvers.PDHG(A, regularizer=0.03 * fn.GroupL1(G.range) @ G, iterations=200),
        "PnP-ADMM": solvers.PnPADMM(A, denoiser=nonlocal_means, iterations=15),
    },
    y,
    truth=truth,
)
print(report)

# %%
figure = report.plot_images(limits=(0.0, 0.0085))
