"""
Krylov methods: CGLS, LSQR, LSMR and the hybrid
===============================================

They take the best combination of all steps so far, and so need ten steps where SIRT needs a
hundred. On noisy data that cuts both ways: after the image they fit the noise, just as quickly.
"""

import numpy as np

import opalg as oa
from opalg import solvers, tomo

grid = oa.Grid((128, 128), spacing=2.0)
geometry = tomo.ParallelBeam(angles=90, detector=192, pitch=2.0)
A = tomo.XrayTransform(grid, geometry)

phantom = tomo.phantoms.shepp_logan(diameter=230.0)
truth = phantom.sample(grid)
clean = phantom.project(geometry)
y = tomo.noise.poisson(clean, photons=2e4, seed=0)

# %%
# The hybrid method solves a damped problem in each Krylov space and chooses the damping by itself
# (here by generalised cross validation), so that it does not matter when it is stopped.
report = solvers.compare(
    {
        "CGLS": solvers.CGLS(A, iterations=40),
        "LSMR": solvers.LSMR(A, iterations=40),
        "hybrid LSQR": solvers.HybridLSQR(A, iterations=40),
        "SIRT": solvers.SIRT(A, iterations=40),
    },
    y,
    truth=truth,
)
print(report)

# %%
# CGLS turns at about ten iterations: this is called semi-convergence.
figure = report.plot_convergence("psnr")

# %%
# If the size of the noise is known, the discrepancy principle stops before the turn.
noise = float(np.linalg.norm(y - clean))
result = solvers.CGLS(A).solve(y, stop=solvers.Discrepancy(noise) | solvers.MaxIterations(40))
print(result.reason)
figure = oa.show(
    result.x,
    report["CGLS"].x,
    titles=[f"stopped after {result.state.iteration}", "after 40"],
    limits=(0.0, 0.0085),
)
