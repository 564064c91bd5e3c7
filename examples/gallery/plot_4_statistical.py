"""
Statistical methods: MLEM, OSEM and MAP-EM
==========================================

Emission tomography counts photons: ``y`` is Poisson distributed around ``A(x)``, few counts are the
rule, and ``x`` is never negative. Expectation maximisation climbs the likelihood of just that
model.
"""

import numpy as np

import opalg as oa
from opalg import functionals as fn
from opalg import solvers, tomo

grid = oa.Grid((96, 96), spacing=2.0)
geometry = tomo.ParallelBeam(angles=90, detector=144, pitch=2.0)
A = tomo.XrayTransform(grid, geometry)

activity = tomo.phantoms.derenzo(diameter=160.0)
truth = activity.sample(grid)
scale = 4e5 / float(A(truth).sum())  # 400 000 counts in all
truth = truth * np.float32(scale)
counts = np.random.default_rng(0).poisson(A(truth)).astype("float32")

# %%
# OSEM makes one step per subset of the views. MAP-EM adds a prior, here a smooth one on the
# differences of neighbours.
G = oa.Gradient(grid)
smooth = 3e-2 * fn.Huber(G.range, 1.0) @ G
report = solvers.compare(
    {
        "FBP": tomo.FBP(A, window="hann"),
        "MLEM": solvers.MLEM(A, iterations=60),
        "OSEM, 10 subsets": solvers.OSEM(A, iterations=60, subsets=10),
        "MAP-EM": solvers.MAPEM(A, iterations=60, regularizer=smooth),
    },
    counts,
    truth=truth,
)
print(report)

# %%
figure = report.plot_convergence("psnr")

# %%
figure = report.plot_images(limits=(0.0, float(truth.max())))
