"""Operators between spaces, their algebra, and leaves that know nothing of imaging."""

from opalg.operators.axes import Transposition
from opalg.operators.axiswise import Separable
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
from opalg.operators.deformation import Deformation, TemplateDeformation
from opalg.operators.differences import Divergence, Gradient, Laplacian, PartialDerivative
from opalg.operators.elementary import Diagonal, Identity, Scaling, Zero
from opalg.operators.fourier import FourierTransform, RealFourierTransform
from opalg.operators.matrix import MatrixOperator
from opalg.operators.nufft import NonuniformFourierTransform
from opalg.operators.operator import LinearOperator, Operator
from opalg.operators.resampling import Resampling
from opalg.operators.resizing import Crop, Pad
from opalg.operators.rewriting import rewriting
from opalg.operators.sampling import Sampling
from opalg.operators.sums import column_sums, column_weights, row_sums, row_weights
from opalg.operators.symmetrised_gradient import SymmetrisedGradient
from opalg.operators.wavelets import WaveletTransform

__all__ = [
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
    "RealFourierTransform",
    "RealPart",
    "Resampling",
    "Sampling",
    "Scaling",
    "Separable",
    "SymmetrisedGradient",
    "TemplateDeformation",
    "Transposition",
    "WaveletTransform",
    "Zero",
    "block_diagonal",
    "block_matrix",
    "column_sums",
    "column_weights",
    "hstack",
    "replicate",
    "rewriting",
    "row_sums",
    "row_weights",
    "vstack",
]
