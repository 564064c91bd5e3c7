"""To and from other packages; each is imported when it is first used.

==========  =============================  ==========================================================
package     functions                      what is converted
==========  =============================  ==========================================================
SciPy       `to_scipy`, `from_scipy`       linear operators, matrices
ODL         `to_odl`, `from_odl`           spaces, operators, and (to ODL) functionals
PyLops      `to_pylops`, `from_pylops`     linear operators
ASTRA       `from_astra`                   projectors (``astra.OpTomo``)
CuPy        `to_cupy`, `from_cupy`         arrays and `Blocks`
xarray      `to_xarray`, `from_xarray`     arrays with the coordinates of their space
pandas      `to_pandas`, `from_pandas`     arrays of one or two axes with coordinates
==========  =============================  ==========================================================
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opalg.interop.astra import from_astra
    from opalg.interop.cupy import from_cupy, to_cupy
    from opalg.interop.odl import from_odl, to_odl
    from opalg.interop.pandas import from_pandas, to_pandas
    from opalg.interop.pylops import from_pylops, to_pylops
    from opalg.interop.scipy import from_scipy, to_scipy
    from opalg.interop.xarray import from_xarray, to_xarray

__all__ = [
    "from_astra",
    "from_cupy",
    "from_odl",
    "from_pandas",
    "from_pylops",
    "from_scipy",
    "from_xarray",
    "to_cupy",
    "to_odl",
    "to_pandas",
    "to_pylops",
    "to_scipy",
    "to_xarray",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(f"opalg.interop.{name.partition('_')[2]}"), name)
    raise AttributeError(f"module 'opalg.interop' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
