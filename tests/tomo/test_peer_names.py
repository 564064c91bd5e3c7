"""The page on geometries has a counterpart for every name of PYRO-NN and tomosipo, and each exists."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import opalg as oa
from opalg import solvers, tomo

PAGE = Path(__file__).resolve().parents[2] / "docs" / "geometries.md"

PYRONN = """
set_backend read_backend default_config GeometryBase set_trajectory update get_dict GeometryParallel2D
GeometryFan2D GeometryCone3D GeometryParallel3D fan_angle cone_angle projection_multiplier step_size
SpecificGeometry create_sinogram generate_specific_phantom CircularGeometrys3D ArbitraryGeometrys3D
init_from_parameters to_json from_json cuda cpu keys set_detector_shift set_volume_slice set_angle_range
swap_axis slice_the_geometry circular_trajectory_2d circular_trajectory_3d multi_circular_trajectory_3d
arbitrary_projection_matrix fibonacci_sphere_projecton_matrix fibonacci_sphere
rotation_matrix_from_points fft_and_ifft generate_sinogram generate_reco ramp ram_lak shepp_logan cosine
hamming hann cosine_weights_3d parker_weights_2d parker_weights_3d riess_weights_2d circle ellipse rect
shepp_logan_enhanced shepp_logan_3d place_sphere place_cube place_ellipsoid_with_rotation
place_cylinder_with_rotation place_pyramid rotate_point_around_z visualize_grid generate_3D_primitives
sphere ellipsoid cube ParallelProjectionFor2D ConeBackProjectionFor3D hardware_interp TensorFlow Keras
ParallelBeamReconstruction2D FanBeamReconstruction SinogramNoiseSimulator apply_noise process_dataset
gradient_check STL aliasing metal scatter jitter rings set_geo frequency
"""

TOMOSIPO = """
volume volume_vec parallel parallel_vec cone cone_vec det_vec random_volume random_parallel
random_cone_vec random_transform is_projection is_cone is_parallel is_volume translate scale rotate
reflect to_perspective from_perspective Transform transform_vec transform_point num_steps concatenate
angles num_angles src_pos det_pos det_u det_v det_normal ray_dir det_shape det_size corners
lower_left_corner rescale_det reshape project_point to_vec to_vol to_astra from_astra with_voxel_size
epsilon operator voxel_supersampling detector_supersampling additive astra_compat_vg link data
to_autograd autograd_operator AutogradOperator forward backward fdk direct_fp direct_bp from_odl
fan_to_cone_beam_geometry parallel_2d_to_3d_geometry discretized_space_2d_to_3d svg animate display
hollow_box fbp padded filter batch_size overwrite_y sirt min_constraint max_constraint x_init volume_mask
projection_mask em tv_min2d nag_ls operator_norm ATA_max_eigenvalue TrackMetricCb TrackMseCb
TrackResidualMseCb TimeoutCb domain_shape range_shape transpose new_zeros new_full new_empty
ignore_scale camera
"""


def rows():
    """Cells (old, new) of the tables."""
    text = PAGE.read_text(encoding="utf-8")
    text = text[text.index("## Coming from PYRO-NN") :]
    found = re.findall(r"^\| (.+?) \| (.+?) \|$", text, flags=re.M)
    return [(old, new) for old, new in found if old not in ("PYRO-NN", "tomosipo", "ts_algorithms")]


ROWS = rows()


def words(cells):
    return set(re.findall(r"\w+", " ".join(cells)))


@pytest.mark.parametrize("names", [PYRONN, TOMOSIPO], ids=["PYRO-NN", "tomosipo"])
def test_every_name_has_a_row(names):
    known = words(old for old, _ in ROWS)
    # Patterns such as `*_projection2d/3d` and `place_cube[_with_rotation]` stand for several.
    assert sorted(set(names.split()) - known) == []


def test_every_row_has_an_answer():
    assert len(ROWS) > 70
    for old, new in ROWS:
        assert not re.search(r"not there|yet\b|planned|TODO", new), old
        # A counterpart, or a sentence that says why there is none.
        assert "`" in new or len(new.split()) > 3 or new.startswith(("not needed", "none"))


def namespace():
    cone = tomo.ConeBeam(4, (3, 5), 1.0, 10.0, 20.0)
    grid = oa.Grid((3, 4, 4))
    A = tomo.XrayTransform(grid, cone)
    return {
        "tomo": tomo, "oa": oa, "solvers": solvers, "geometry": cone, "frames": cone.frames, "grid": grid,
        "A": A, "phantom": tomo.phantoms.ball(1.0),
        "ConeBeam": tomo.ConeBeam, "ParallelBeam": tomo.ParallelBeam, "Grid": oa.Grid,
        "phantoms": tomo.phantoms, "T": tomo.Transform, "examples": SimpleNamespace(learned_filter=None),
    }  # fmt: skip


def test_every_counterpart_exists():
    known = namespace()
    found = 0
    for old, new in ROWS:
        for code in re.findall(r"`([^`]+)`", new):
            for dotted in re.findall(r"(?<![\w./])([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)", code):
                head, *rest = dotted.split(".")
                assert head in known, f"{dotted} (for {old}): of what?"
                value = known[head]
                for name in rest:
                    assert hasattr(value, name), f"{dotted} (for {old}) does not exist"
                    value = getattr(value, name)
                found += 1
    assert found > 70


def test_bare_names_exist_too():
    """Names that follow one of their kind: `tomo.noise.poisson`, `rings`."""
    homes = [
        tomo, oa, solvers, tomo.phantoms, tomo.noise, tomo.weights, tomo.trajectories, tomo.converters,
        tomo.ConeBeam(2, (3, 3), 1.0, 10.0, 20.0), tomo.ParallelBeam(2), tomo.Transform(np.eye(4)),
        tomo.phantoms.ball(1.0), oa.Identity(oa.Space(2)), tomo.transforms,
    ]  # fmt: skip
    for old, new in ROWS:
        for code in re.findall(r"`([A-Za-z_]\w+)(?:\(\S*\))?`", new):
            if code in {"isinstance", "sod", "sdd", "frames"}:
                continue
            assert any(hasattr(home, code) for home in homes), f"{code} (for {old}) does not exist"
