"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

try:
    import hypothesis
except ImportError:  # the tests that need a GPU run where little is installed, and do without
    pass
else:
    # No deadline: on a busy machine a single slow example would fail a test that is right. `ci` draws
    # the same examples each time, so that a red build means that the code changed, and not the dice.
    hypothesis.settings.register_profile("default", deadline=None)
    hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
    hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of measured data: ``OPALG_SHARED_DATA``, or ``../shared/data`` beside the
    checkout.

    A user's machine has none, so tests that ask for it are skipped there. CI always has it: missing
    data fail there, because a test that is skipped silently proves nothing.
    """
    folder = Path(os.environ.get("OPALG_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if folder.is_dir():
        return folder
    message = f"the measured data are not there: {folder} (set OPALG_SHARED_DATA to their folder)"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked `gpu` where there is no CUDA device."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and not has_cuda_device():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def has_cuda_device() -> bool:
    """Tell whether PyTorch sees a CUDA device."""
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()
