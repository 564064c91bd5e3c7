"""
Row action and stationary methods: SIRT, SART and relatives
===========================================================

All of them repeat one line, ``x += C A.H(R (y - A(x)))``, and differ in the weights ``R`` and ``C``
and in how many rays they take at a time. They need no regulariser: stopping early is one.
"""

import opalg as oa
from opalg import solvers, tomo

grid = oa.Grid((128, 128), spacing=2.0)
geometry = tomo.ParallelBeam(angles=60, detector=192, pitch=2.0)
A = tomo.XrayTransform(grid, geometry)

phantom = tomo.phantoms.shepp_logan(diameter=230.0)
truth = phantom.sample(grid)
y = tomo.noise.poisson(phantom.project(geometry), photons=1e5, seed=0)

# %%
# Each method gets 60 sweeps over the data. ``minimum=0`` projects onto images without negative
# values after each step.
report = solvers.compare(
    {
        "Landweber": solvers.Landweber(A, iterations=60, minimum=0.0),
        "SIRT": solvers.SIRT(A, iterations=60, minimum=0.0),
        "OS-SIRT, 10 subsets": solvers.OSSIRT(A, iterations=60, minimum=0.0, subsets=10),
        "SART": solvers.SART(A, iterations=20, minimum=0.0, relaxation=0.3),
    },
    y,
    truth=truth,
)
print(report)

# %%
# Subsets are about as many times faster at first as there are of them. Later they wander around the
# solution, since no image explains all subsets of noisy data: relaxation below one, or stopping,
# helps.
figure = report.plot_convergence("psnr")

# %%
figure = report.plot_images(limits=(0.0, 0.0085))
