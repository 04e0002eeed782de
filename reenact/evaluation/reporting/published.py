"""Published numbers of other methods, to compare with a result.

They are from the HyperReenact paper (Bounareli et al., ICCV 2023, Table 1): VoxCeleb1 at 256
pixels. The table of DiffusionAct itself is not among the sources of this project.
"""

from typing import Any

TITLE = "Published: VoxCeleb1, 256 pixels (HyperReenact, ICCV 2023, Table 1)"
NOTE = (
    "Measured by other code with other networks (csim ArcFace; apd and aed by a FLAME tracker) on "
    "other frames. Only columns measured here with the same networks on VoxCeleb1 can be compared."
)
HEADERS = (
    *("self csim↑", "lpips↓", "fid↓", "fvd↓", "apd↓", "aed↓"),
    *("cross csim↑", "apd↓", "aed↓"),
)
# The mode, the metric and the digits of each header.
SOURCES = (
    ("self", "csim", 2),
    ("self", "lpips", 2),
    ("self", "fid", 1),
    ("self", "fvd", 0),
    ("self", "apd", 1),
    ("self", "aed", 1),
    ("cross", "csim", 2),
    ("cross", "apd", 1),
    ("cross", "aed", 1),
)
ROWS = (
    ("X2Face", (0.70, 0.21, 25.6, 490, 1.3, 9.0, 0.57, 2.2, 16.4)),
    ("FOMM", (0.64, 0.27, 35.3, 523, 4.6, 12.6, 0.53, 10.9, 20.9)),
    ("PIR", (0.69, 0.23, 50.5, 545, 1.9, 9.7, 0.61, 2.4, 15.4)),
    ("LSR", (0.59, 0.26, 63.0, 484, 1.0, 7.5, 0.50, 1.5, 13.1)),
    ("FD", (0.65, 0.23, 19.0, 400, 1.0, 6.5, 0.49, 1.7, 10.2)),
    ("LIA", (0.64, 0.26, 31.7, 510, 4.7, 11.4, 0.57, 2.8, 15.7)),
    ("ROME", (0.69, 0.43, 39.2, 800, 1.5, 5.6, 0.63, 1.2, 8.8)),
    ("HyperReenact", (0.71, 0.23, 27.1, 480, 0.5, 5.1, 0.68, 0.5, 9.3)),
)


def measured_row(summary: dict[str, Any], row: str) -> list[float | None]:
    """The numbers of a measured row under the same headers."""
    return [summary.get(mode, {}).get(row, {}).get(name) for mode, name, _ in SOURCES]
