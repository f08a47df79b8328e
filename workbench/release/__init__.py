"""May this checkpoint go out: gates, card, bundle, promotion, privacy, lineage."""

from workbench.release.release import Release

__all__ = ["Release"]
