"""The refinery's own database, as flows reach it."""

from prefect.blocks.core import Block
from pydantic import Field, SecretStr


class RefineryDatabase(Block):
    """Address and password of the database that holds track, metadata and mos."""

    _block_type_name = "Refinery database"
    _block_type_slug = "refinery-database"
    _description = "The PostgreSQL database in which the refinery keeps the truth."

    url: SecretStr = Field(description="A SQLAlchemy URL that begins with postgresql+psycopg://")

    def address(self) -> str:
        """The URL, password and all; never log it."""
        return self.url.get_secret_value()
