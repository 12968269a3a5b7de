"""What a script of a site's own is given."""

from hpc.sites.scripts import ScriptCommand, sbatch_environment
from schemas.pipeline.model import Resources


def test_what_a_stage_asks_for_is_in_the_environment_of_sbatch() -> None:
    asked = {"time": "00:30:30", "mem": "2G", "gpus": 1, "partition": "p", "account": "a"}
    assert sbatch_environment(Resources.model_validate(asked | {"qos": "q"})) == {
        "SBATCH_TIMELIMIT": "31",
        "SBATCH_MEM_PER_NODE": "2048M",
        "SBATCH_GRES": "gpu:1",
        "SBATCH_PARTITION": "p",
        "SBATCH_ACCOUNT": "a",
        "SBATCH_QOS": "q",
    }


def test_a_stage_that_asks_for_nothing_changes_no_word_of_its_command() -> None:
    words = ("bash", "x.sh", "a b")
    assert ScriptCommand(words, sbatch_environment(Resources())).with_environment == [*words]
    assert ScriptCommand(words, {"SBATCH_QOS": "q"}).with_environment == [
        "env",
        "SBATCH_QOS=q",
        *words,
    ]
