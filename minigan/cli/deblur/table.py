"""The table of methods, as a terminal shows it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minigan.deblur.evaluate import Row


def print_table(rows: list[Row]) -> None:
    """Each method with its figures, on standard output."""
    from rich.console import Console
    from rich.table import Table

    from minigan.deblur.tasks import INPUTS

    told = "* knows the true kernel. " if any(row.knows_kernel for row in rows) else ""
    table = Table(caption=f"{told}Mean ± standard deviation over the pictures.")
    table.add_column("method")
    for column in ("PSNR dB", "SSIM", "sharpness", "GMSD", "made worse"):
        table.add_column(column, justify="right")
    for row in rows:
        worse = None if row.name in INPUTS.values() else row.psnr.worse
        table.add_row(
            row.name + (" *" if row.knows_kernel else ""),
            f"{row.psnr.mean:.2f} ± {row.psnr.std:.2f}",
            f"{row.ssim.mean:.3f} ± {row.ssim.std:.3f}",
            f"{row.sharpness.mean:.3f}",
            f"{row.gmsd.mean:.4f}",
            "" if worse is None else f"{100 * worse:.0f} %",
        )
    Console(file=sys.stdout, width=100).print(table)
