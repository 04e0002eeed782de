"""Where the tracker's 68 points lie beside the head model's landmark vertices.

The model's landmarks are vertices of a coarse mesh, so none of them lies exactly where the tracker
puts its point. `tools/calibrate_tracker.py` measures the mean difference on rendered heads whose
parameters are known, and prints this table. The fit takes the difference into account.
"""

import torch
from torch import Tensor

# x to the picture's right, y up, z to the camera. The other half of the face is mirrored.
_UNIT = 0.001  # dm
_HALF: dict[int, tuple[int, int, int]] = {
    0: (-9, -64, 119),
    1: (-6, -35, 68),
    2: (-29, 40, -6),
    3: (-38, 89, -55),
    4: (-48, 106, -66),
    5: (-32, 44, -25),
    6: (-58, 63, -11),
    7: (-95, 68, 15),
    8: (0, 0, 151),
    17: (-8, 5, 23),
    18: (-25, -1, -9),
    19: (-2, 12, 2),
    20: (-24, 25, 8),
    21: (9, -18, 14),
    27: (0, -29, 17),
    28: (0, -13, 44),
    29: (0, -9, 46),
    30: (0, 10, 23),
    31: (2, 4, 25),
    32: (-10, 9, 11),
    33: (0, 9, 8),
    36: (2, 2, -11),
    37: (4, 8, -21),
    38: (-6, 1, -23),
    39: (-10, -4, -6),
    40: (1, 3, -12),
    41: (-5, 5, -18),
    48: (3, 7, -12),
    49: (8, 1, -10),
    50: (6, -13, -2),
    51: (0, -7, -10),
    57: (0, 13, 10),
    58: (-9, 14, 7),
    59: (-7, 15, 3),
    60: (9, 4, -4),
    61: (52, 3, 1),
    62: (0, -0, -9),
    66: (0, 19, 4),
    67: (50, 4, 19),
}
# fmt: off
MIRRORED = (
    16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0,
    26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 27, 28, 29, 30, 35, 34, 33, 32, 31,
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
)
# fmt: on
"""Landmark k of the mirrored face is landmark MIRRORED[k] of the face."""


def tracker_offsets() -> Tensor:
    """(68, 3) dm, float64: tracked point minus model landmark on the unposed head."""
    table = torch.zeros(68, 3, dtype=torch.float64)
    for k, (x, y, z) in _HALF.items():
        table[MIRRORED[k]] = torch.tensor([-x, y, z], dtype=torch.float64)
        table[k] = torch.tensor([x, y, z], dtype=torch.float64)
    return table * _UNIT
