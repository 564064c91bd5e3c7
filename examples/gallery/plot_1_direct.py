"""
Direct methods: filtered back projection
========================================

One pass over the data: each view is filtered and smeared back. With many views and little noise
nothing beats it for its price. Its one knob is the window on the ramp filter, which trades
resolution for noise.
"""

import opalg as oa
from opalg import solvers, tomo

grid = oa.Grid((192, 192), spacing=1.25)
geometry = tomo.ParallelBeam(angles=240, detector=288, pitch=1.25)
A = tomo.XrayTransform(grid, geometry)

phantom = tomo.phantoms.shepp_logan(diameter=230.0)
truth = phantom.sample(grid)
y = tomo.noise.poisson(phantom.project(geometry), photons=2e4, seed=0)

# %%
# The windows fall more and more steeply towards the highest frequency, where noise is strongest.
windows = ["ram-lak", "shepp-logan", "cosine", "hann"]
report = solvers.compare({name: tomo.FBP(A, window=name) for name in windows}, y, truth=truth)
print(report)

# %%
# The upper row shows the images, the lower one what differs from the truth: noise with Ram-Lak,
# edges with Hann.
figure = report.plot_images(limits=(0.0, 0.0085))

# %%
# A fan or a cone beam takes the same lines; ``FBP`` and ``FDK`` bring the weights that belong to
# the geometry.
fan = tomo.FanBeam(angles=360, detector=320, pitch=2.0, sod=400.0, sdd=800.0)
F = tomo.XrayTransform(grid, fan)
x = tomo.FBP(F, window="hann")(phantom.project(fan))
figure = oa.show(x, truth, titles=["fan beam, FBP", "truth"], limits=(0.0, 0.0085))
