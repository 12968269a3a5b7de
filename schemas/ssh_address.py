"""The way to a cluster's login node: frozen, complete, and without a secret in its repr."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SshHop:
    """One name with an sshd.

    `host_key` are the pinned public keys, any of which counts, as `ssh-keyscan` prints them:
    `ssh-ed25519 AAAA…`. `private_key` is ours in OpenSSH format.
    """

    host: str
    user: str
    host_key: str
    private_key: str = field(repr=False)
    port: int = 22
    passphrase: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """For messages: user, host and port."""
        return f"{self.user}@{self.host}:{self.port}"


@dataclass(frozen=True)
class SshAddress:
    """A login node, the jump host before it if there is one, and what each command needs first.

    `prelude` is shell text, such as `module load slurm`, run before every command there and
    at the beginning of every job.
    """

    node: SshHop
    jump: SshHop | None = None
    prelude: str = ""
