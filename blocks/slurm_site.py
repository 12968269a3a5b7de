"""The way to a Slurm cluster: its login node, our key, its pinned host key, a jump host."""

from prefect.blocks.core import Block
from pydantic import Field, SecretStr, field_validator, model_validator

from schemas.ssh_address import SshAddress, SshHop


class SlurmSite(Block):
    """One cluster's login node; `sites.yaml` names the block by the site's `block`."""

    _block_type_name = "Slurm site"
    _block_type_slug = "slurm-site"
    _description = "Address and key of a cluster's login node, reached over SSH."

    host: str = Field(min_length=1, description="The login node, by name or address.")
    port: int = Field(default=22, ge=1, le=65535)
    user: str = Field(min_length=1, description="Our account there.")
    private_key: SecretStr = Field(
        description="Our key in OpenSSH format, best ed25519 and used for nothing else."
    )
    passphrase: SecretStr | None = Field(default=None, description="Of the key, if it has one.")
    host_key: str = Field(
        description="The public keys of every login node behind that name, as `ssh-keyscan -t "
        "ed25519 NODE` prints them, compared with what its administrators publish. Any counts."
    )
    jump_host: str = Field(default="", description="A host to go through; empty means none.")
    jump_port: int = Field(default=22, ge=1, le=65535)
    jump_user: str = Field(default="", description="Empty means the same account.")
    jump_host_key: str = Field(default="", description="The jump host's public keys.")
    jump_private_key: SecretStr | None = Field(default=None, description="If it is another one.")
    prelude: str = Field(
        default="",
        description="POSIX shell text before each command and in each job, such as `module load "
        "slurm`; its output is thrown away.",
    )

    @field_validator("private_key", "jump_private_key", mode="before")
    @classmethod
    def _end_with_a_line(cls, key: object) -> object:
        """A key pasted into a form loses its last line's end, without which it is none."""
        if isinstance(key, str) and key.strip():
            return key.replace("\r\n", "\n").strip() + "\n"
        return key

    @model_validator(mode="after")
    def _pin_the_jump_host(self) -> "SlurmSite":
        if self.jump_host and not self.jump_host_key:
            raise ValueError("jump_host_key: a jump host's key must be pinned too")
        return self

    def address(self) -> SshAddress:
        """Everything a wire needs to know; its repr shows no key."""
        passphrase = self.passphrase.get_secret_value() if self.passphrase else None
        node = SshHop(
            host=self.host,
            port=self.port,
            user=self.user,
            host_key=self.host_key,
            private_key=self.private_key.get_secret_value(),
            passphrase=passphrase,
        )
        if not self.jump_host:
            return SshAddress(node, prelude=self.prelude)
        other = self.jump_private_key
        jump = SshHop(
            host=self.jump_host,
            port=self.jump_port,
            user=self.jump_user or self.user,
            host_key=self.jump_host_key,
            private_key=other.get_secret_value() if other else node.private_key,
            passphrase=None if other else passphrase,
        )
        return SshAddress(node, jump=jump, prelude=self.prelude)
