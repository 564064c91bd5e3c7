"""
Smooth objectives: gradient descent, Nesterov, nonlinear CG, L-BFGS
===================================================================

If all terms of the objective have a gradient, these methods need nothing else. The regulariser here
is Huber's function of the gradient: quadratic for small differences (noise), linear for large ones
(edges).
"""

import opalg as oa
from opalg import functionals as fn
from opalg import solvers, tomo

grid = oa.Grid((128, 128), spacing=2.0)
geometry = tomo.ParallelBeam(angles=60, detector=192, pitch=2.0)
A = tomo.XrayTransform(grid, geometry)

phantom = tomo.phantoms.shepp_logan(diameter=230.0)
truth = phantom.sample(grid)
y = tomo.noise.poisson(phantom.project(geometry), photons=2e4, seed=0)

G = oa.Gradient(grid)
regularizer = 0.02 * fn.Huber(G.range, 2e-4) @ G

# %%
# The objective is an expression and prints as one. All four methods minimise the same.
objective = fn.LeastSquares(A.range, y) @ A + regularizer
print(objective)

methods = {
    "gradient descent": solvers.GradientDescent(A, regularizer=regularizer, iterations=60),
    "Nesterov": solvers.Nesterov(A, regularizer=regularizer, iterations=60),
    "nonlinear CG": solvers.NonlinearCG(A, regularizer=regularizer, iterations=60),
    "L-BFGS": solvers.LBFGS(A, regularizer=regularizer, iterations=60),
}
report = solvers.compare(
    methods,
    y,
    truth=truth,
    metrics={"objective": lambda x, truth: float(objective(x))},
)
print(report)

# %%
# Each iteration costs one application and one transpose, so the curves compare fairly.
figure = report.plot_convergence("objective")

# %%
figure = report.plot_images(limits=(0.0, 0.0085))
