"""Colors as people with a color deficiency see them, and on a black-and-white printer; distances in CIELAB.

Matrices for full deficiency on linear RGB: Machado, Oliveira and Fernandes, "A physiologically-based model
for simulation of color vision deficiency", IEEE TVCG 15(6), 2009.
"""

from __future__ import annotations

import numpy as np

SEEN = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


def rgb(color: str) -> np.ndarray:
    """``#rrggbb`` as three numbers from 0 to 1."""
    return np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255


def mixed(color: str, share: float, ground: str = "#ffffff") -> np.ndarray:
    """CSS ``color-mix(in srgb, color share, ground)``."""
    return share * rgb(color) + (1 - share) * rgb(ground)


def linear(color: np.ndarray) -> np.ndarray:
    return np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)


def lab(color: np.ndarray, seen: str) -> np.ndarray:
    """CIELAB of a color as seen with a deficiency."""
    xyz = _TO_XYZ @ np.clip(SEEN[seen] @ linear(color), 0, 1) / _WHITE
    cube = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * cube[1] - 16, 500 * (cube[0] - cube[1]), 200 * (cube[1] - cube[2])])


def distance(a: np.ndarray, b: np.ndarray, seen: str = "all cones") -> float:
    """CIE76 distance of two colors; about 2.3 is just noticeable side by side, 10 at a glance."""
    return float(np.linalg.norm(lab(a, seen) - lab(b, seen)))


def contrast(a: np.ndarray, b: np.ndarray) -> float:
    """WCAG contrast ratio."""
    light, dark = sorted((float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (a, b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
