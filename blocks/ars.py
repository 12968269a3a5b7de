"""The Prefect block that says where ARS is and who we are to it.

It holds the address and the secret and makes a client; it does nothing itself.
"""

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from blocks.ars_client import ArsAddress, ArsClient
from blocks.tier import Guard
from schemas.metadata.ars_asset import Profile


class ArsArchive(Block):
    """ARS, the museum's archive: its address and our credentials.

    Attributes:
        base_url: the edge of ARS, without a path.
        token_url: where tokens come from; empty means the archive's own Keycloak realm.
        client_id: our confidential client in Keycloak; it needs the role service-user.
        client_secret: its secret.
        update_user: the name ARS records as author of our changes.
        users: the names shares are opened for; ARS wants at least one.
        profile: the generation of ARS's interface: current, v2_6 or v1_7.
    """

    _block_type_name = "ARS archive"
    _block_type_slug = "ars-archive"
    _description = "Address and credentials of ARS, where specimens are archived."

    base_url: str = Field(pattern=r"^https?://")
    token_url: str = ""
    client_id: str
    client_secret: SecretStr
    update_user: str = "specimen-refinery"
    users: list[str] = Field(default=["specimen-refinery"], min_length=1)
    profile: Profile = "current"

    def address(self) -> ArsAddress:
        return ArsAddress(
            base_url=self.base_url,
            client_id=self.client_id,
            client_secret=self.client_secret.get_secret_value(),
            update_user=self.update_user,
            users=tuple(self.users),
            token_url=self.token_url,
            profile=self.profile,
        )

    def client(self, *, guard: Guard | None = None) -> ArsClient:
        """A client to be used as `async with`, in one event loop."""
        return ArsClient(self.address(), guard=guard)
