"""Operators between spaces, their algebra, and leaves that know nothing of imaging."""

from opalg.operators.axes import Transposition
from opalg.operators.blocks import (
    Component,
    Embedding,
    block_diagonal,
    block_matrix,
    hstack,
    replicate,
    vstack,
)
from opalg.operators.complex_parts import ComplexEmbedding, ImagPart, Modulus, RealPart
from opalg.operators.convolution import CircularConvolution, Convolution
from opalg.operators.differences import Divergence, Gradient, Laplacian, PartialDerivative
from opalg.operators.elementary import Diagonal, Identity, Scaling, Zero
from opalg.operators.fourier import FourierTransform, RealFourierTransform
from opalg.operators.matrix import MatrixOperator
from opalg.operators.operator import LinearOperator, Operator
from opalg.operators.resizing import Crop, Pad
from opalg.operators.rewriting import rewriting
from opalg.operators.sampling import Sampling

__all__ = [
    "CircularConvolution",
    "ComplexEmbedding",
    "Component",
    "Convolution",
    "Crop",
    "Diagonal",
    "Divergence",
    "Embedding",
    "FourierTransform",
    "Gradient",
    "Identity",
    "ImagPart",
    "Laplacian",
    "LinearOperator",
    "MatrixOperator",
    "Modulus",
    "Operator",
    "Pad",
    "PartialDerivative",
    "RealFourierTransform",
    "RealPart",
    "Sampling",
    "Scaling",
    "Transposition",
    "Zero",
    "block_diagonal",
    "block_matrix",
    "hstack",
    "replicate",
    "rewriting",
    "vstack",
]
