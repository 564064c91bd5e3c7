"""
Proximal methods: total variation by FISTA, PDHG and ADMM
=========================================================

The total variation has no gradient at its minimum, where the picture is flat, and that is just why
it is good at flat pictures. Proximal methods take such terms by their proximal map. The objective
is written once; each solver takes it apart.
"""

import opalg as oa
from opalg import functionals as fn
from opalg import solvers, tomo

grid = oa.Grid((128, 128), spacing=2.0)
geometry = tomo.ParallelBeam(angles=30, detector=192, pitch=2.0)  # a fifth of what FBP wants
A = tomo.XrayTransform(grid, geometry)

phantom = tomo.phantoms.shepp_logan(diameter=230.0)
truth = phantom.sample(grid)
y = tomo.noise.poisson(phantom.project(geometry), photons=1e5, seed=0)

# %%
# ``fn.GroupL1(G.range) @ G`` is the isotropic total variation: the sum of the lengths of all
# gradients.
G = oa.Gradient(grid)
regularizer = 0.02 * fn.GroupL1(G.range) @ G + fn.NonNegative(grid)

report = solvers.compare(
    {
        "FBP": tomo.FBP(A, window="hann"),
        "SIRT": solvers.SIRT(A, iterations=100, minimum=0.0),
        "PDHG": solvers.PDHG(A, regularizer=regularizer, iterations=200),
        "ADMM": solvers.ADMM(A, regularizer=regularizer, iterations=30),
    },
    y,
    truth=truth,
)
print(report)

# %%
figure = report.plot_convergence("psnr")

# %%
figure = report.plot_images(limits=(0.0, 0.0085))

# %%
# ``FISTA`` wants one term with a proximal map beside the data. It has none for ``GroupL1 @ G``, and
# says who does:
try:
    solvers.FISTA(A, regularizer=regularizer, iterations=1)(y)
except oa.errors.NotSupportedError as error:
    print(error)
