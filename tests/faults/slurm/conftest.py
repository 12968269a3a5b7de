"""The lab and sites on it, for things that go wrong."""

from tests.support.slurm_lab import far, lab, quiet_paramiko, site, slurm_lab

__all__ = ["far", "lab", "quiet_paramiko", "site", "slurm_lab"]
