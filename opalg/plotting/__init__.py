"""Pictures of images and sinograms, with Matplotlib."""

from opalg.plotting.images import show

__all__ = ["show"]
