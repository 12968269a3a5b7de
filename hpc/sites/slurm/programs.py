"""The programs that our scripts need on a login node, and what to do where one is missing."""

from collections.abc import Collection

SLURM = ("sbatch", "scancel", "squeue")
TOOLS = ("awk", "find", "gzip", "sed", "tar")
"""Beyond coreutils, which come together."""


def lacking(found: Collection[str]) -> tuple[str, ...]:
    """Those that are not among the programs found."""
    return tuple(name for name in (*SLURM, *TOOLS) if name not in found)


def remedy(missing: Collection[str]) -> str:
    """What to do about them: Slurm comes by its module, a tool from the administrators."""
    words = []
    if any(name in SLURM for name in missing):
        words.append("set the block's prelude, such as `module load slurm`")
    if tools := [name for name in missing if name in TOOLS]:
        words.append(
            f"ask the cluster's administrators for {' and '.join(tools)}, or put a folder that "
            "has it into the PATH by the block's prelude"
        )
    return "; ".join(words)
