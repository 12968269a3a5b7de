"""The lab: a real Slurm, whose wrappers are called as TORQUE's programs are."""

from tests.support.slurm_lab import lab, slurm_lab

__all__ = ["lab", "slurm_lab"]
