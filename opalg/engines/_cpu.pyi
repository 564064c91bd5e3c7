from typing import Any

def project(
    rays: Any,
    lengths: Any,
    volume_shape: tuple[int, int, int],
    detector_shape: tuple[int, int],
    first_slice: float,
    slice_step: float,
    batch: int,
    volumes: Any,
    projections: Any,
    threads: int,
    interruptible: bool,
) -> None: ...
def backproject(
    rays: Any,
    lengths: Any,
    volume_shape: tuple[int, int, int],
    detector_shape: tuple[int, int],
    first_slice: float,
    slice_step: float,
    batch: int,
    projections: Any,
    volumes: Any,
    threads: int,
    interruptible: bool,
) -> None: ...

class RayArrays:
    def __init__(
        self,
        sources: Any,
        corners: Any,
        u_steps: Any,
        v_steps: Any,
        arc_centres: Any,
        arc_step: float,
        parallel: bool,
        flat: bool,
        model: int,
    ) -> None: ...

def project_rays(
    rays: RayArrays,
    spacing: tuple[float, float, float],
    volume_shape: tuple[int, int, int],
    detector_shape: tuple[int, int],
    batch: int,
    volumes: Any,
    projections: Any,
    threads: int,
    interruptible: bool,
) -> None: ...
def backproject_rays(
    rays: RayArrays,
    spacing: tuple[float, float, float],
    volume_shape: tuple[int, int, int],
    detector_shape: tuple[int, int],
    batch: int,
    projections: Any,
    volumes: Any,
    threads: int,
    interruptible: bool,
) -> None: ...
def backproject_voxels(
    rays: RayArrays,
    spacing: tuple[float, float, float],
    volume_shape: tuple[int, int, int],
    detector_shape: tuple[int, int],
    power: int,
    batch: int,
    projections: Any,
    volumes: Any,
    threads: int,
    interruptible: bool,
) -> None: ...
def project_voxels(
    rays: RayArrays,
    spacing: tuple[float, float, float],
    volume_shape: tuple[int, int, int],
    detector_shape: tuple[int, int],
    power: int,
    batch: int,
    volumes: Any,
    projections: Any,
    threads: int,
    interruptible: bool,
) -> None: ...
def instruction_sets() -> list[tuple[str, str]]: ...
def active_instruction_set() -> str: ...

class Differences:
    def __init__(self) -> None: ...
    def add(
        self,
        n: int,
        first: int,
        weight: float,
        inner: Any,
        outer: Any,
        axis: int,
        source: int,
        target: int,
    ) -> None: ...
    def sum(
        self,
        batch: int,
        shape: tuple[int, int, int],
        unit: int,
        sources: list[Any],
        bases: list[Any],
        factor: float,
        scale: float,
        targets: list[Any],
        threads: int,
        interruptible: bool,
    ) -> None: ...
    def shrink(
        self,
        batch: int,
        shape: tuple[int, int, int],
        unit: int,
        source: list[Any],
        fields: list[Any],
        scales: list[float],
        radii: list[float],
        how: int,
        targets: list[Any],
        threads: int,
        interruptible: bool,
    ) -> None: ...
