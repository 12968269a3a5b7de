"""What several tests of the board share."""

from tests.support.troubled import troubled_database

__all__ = ["troubled_database"]
