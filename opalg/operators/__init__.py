"""Operators between spaces, their algebra, and leaves that know nothing of imaging."""

from opalg.operators.blocks import (
    Component,
    Embedding,
    block_diagonal,
    block_matrix,
    hstack,
    replicate,
    vstack,
)
from opalg.operators.elementary import Diagonal, Identity, Scaling, Zero
from opalg.operators.operator import LinearOperator, Operator
from opalg.operators.rewriting import rewriting

__all__ = [
    "Component",
    "Diagonal",
    "Embedding",
    "Identity",
    "LinearOperator",
    "Operator",
    "Scaling",
    "Zero",
    "block_diagonal",
    "block_matrix",
    "hstack",
    "replicate",
    "rewriting",
    "vstack",
]
