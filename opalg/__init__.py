"""opalg: image reconstruction written as mathematics."""

from opalg.operators import (
    Component,
    Diagonal,
    Embedding,
    Identity,
    LinearOperator,
    Operator,
    Scaling,
    Zero,
    block_diagonal,
    block_matrix,
    hstack,
    replicate,
    rewriting,
    vstack,
)
from opalg.spaces import Blocks, Grid, ProductSpace, Space
