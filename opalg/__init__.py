"""Image reconstruction written as mathematics: spaces, operators and their algebra.

``import opalg as oa`` gives spaces and operators. What stands on them is loaded when it is first used:
`opalg.tomo` (X-ray tomography), `opalg.functionals`, `opalg.solvers`, `opalg.testing` (conformance
checks) and `opalg.interop` (to and from other packages).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from opalg.operators import (
    CircularConvolution,
    ComplexEmbedding,
    Component,
    Convolution,
    Crop,
    Deformation,
    Diagonal,
    Divergence,
    Embedding,
    FourierTransform,
    Gradient,
    Identity,
    ImagPart,
    Laplacian,
    LinearOperator,
    MatrixOperator,
    Modulus,
    NonuniformFourierTransform,
    Operator,
    Pad,
    PartialDerivative,
    RealFourierTransform,
    RealPart,
    Resampling,
    Sampling,
    Scaling,
    Separable,
    SymmetrisedGradient,
    TemplateDeformation,
    Transposition,
    WaveletTransform,
    Zero,
    block_diagonal,
    block_matrix,
    hstack,
    replicate,
    rewriting,
    vstack,
)
from opalg.spaces import Blocks, Grid, ProductSpace, Space

if TYPE_CHECKING:
    from opalg import functionals, interop, solvers, testing, tomo
    from opalg.interop.scipy import from_scipy
    from opalg.plotting import show

__all__ = [
    "Blocks",
    "CircularConvolution",
    "ComplexEmbedding",
    "Component",
    "Convolution",
    "Crop",
    "Deformation",
    "Diagonal",
    "Divergence",
    "Embedding",
    "FourierTransform",
    "Gradient",
    "Grid",
    "Identity",
    "ImagPart",
    "Laplacian",
    "LinearOperator",
    "MatrixOperator",
    "Modulus",
    "NonuniformFourierTransform",
    "Operator",
    "Pad",
    "PartialDerivative",
    "ProductSpace",
    "RealFourierTransform",
    "RealPart",
    "Resampling",
    "Sampling",
    "Scaling",
    "Separable",
    "Space",
    "SymmetrisedGradient",
    "TemplateDeformation",
    "Transposition",
    "WaveletTransform",
    "Zero",
    "block_diagonal",
    "block_matrix",
    "from_scipy",
    "functionals",
    "hstack",
    "interop",
    "replicate",
    "rewriting",
    "show",
    "solvers",
    "testing",
    "tomo",
    "vstack",
]

# Loaded on first use: subpackages, and functions with the modules that define them.
_SUBPACKAGES = frozenset({"functionals", "interop", "solvers", "testing", "tomo"})
_FUNCTIONS = {"from_scipy": "opalg.interop.scipy", "show": "opalg.plotting"}


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"opalg.{name}")
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("opalg")
    raise AttributeError(f"module 'opalg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
