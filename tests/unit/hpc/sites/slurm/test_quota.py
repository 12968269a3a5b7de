"""What `quota -w` and `lfs quota -q` print, as real ones do."""

import pytest

from hpc.sites.slurm.doctor import read_quotas

SYSTEM = """Disk quotas for user refinery (uid 4711):
     Filesystem   space   quota   limit   grace   files   quota   limit   grace
nfs:/export/home   41000   50000   60000           1203       0       0
nfs:/export/work  991000*  900000 1000000   6days   77123       0       0
"""
LUSTRE = "    /scratch/p  123456789  200000000  250000000    -   54321       0       0    -"


@pytest.mark.parametrize(
    ("output", "rows"),
    [
        (SYSTEM, [(41000, 50000), (991000, 900000)]),
        (LUSTRE, [(123456789, 200000000)]),
        ("/scratch/p 12 0 0 - 3 0 0 -", []),
        ("Disk quotas for user refinery (uid 4711): none", []),
        ("", []),
    ],
)
def test_rows_with_a_limit_are_read_and_nothing_else(
    output: str, rows: list[tuple[int, int]]
) -> None:
    assert read_quotas(output) == rows
