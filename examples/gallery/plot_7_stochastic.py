"""
Stochastic methods over subsets: SGD, SVRG, SAGA, SPDHG
=======================================================

A gradient of one subset of the views costs a fraction of the whole and points nearly the same way.
Plain SGD with constant steps ends up dancing around the minimum; SVRG and SAGA remember enough to
stand still there.
"""

import opalg as oa
from opalg import functionals as fn
from opalg import solvers, tomo

grid = oa.Grid((128, 128), spacing=2.0)
geometry = tomo.ParallelBeam(angles=120, detector=192, pitch=2.0)
A = tomo.XrayTransform(grid, geometry)

phantom = tomo.phantoms.shepp_logan(diameter=230.0)
truth = phantom.sample(grid)
y = tomo.noise.poisson(phantom.project(geometry), photons=5e4, seed=0)

# %%
# Ten subsets: ten iterations cost about as much as one application and one transpose of the whole.
nonnegative = fn.NonNegative(grid)
report = solvers.compare(
    {
        "projected gradient": solvers.ProjectedGradient(A, regularizer=nonnegative, iterations=30),
        "SGD": solvers.SGD(A, regularizer=nonnegative, iterations=300, subsets=10),
        "SVRG": solvers.SVRG(A, regularizer=nonnegative, iterations=300, subsets=10),
        "SAGA": solvers.SAGA(A, regularizer=nonnegative, iterations=300, subsets=10),
        "SPDHG": solvers.SPDHG(A, regularizer=nonnegative, iterations=300, subsets=10),
    },
    y,
    truth=truth,
    metrics=["psnr", "residual"],
)
print(report)

# %%
# Look at the middle panel: against calls of the projector.
figure = report.plot_convergence("residual")
