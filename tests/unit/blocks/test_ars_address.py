"""URLs come from the configured base, and every segment is escaped."""

import pytest
from prefect.blocks.core import Block
from pydantic import SecretStr, ValidationError

from blocks.ars import ArsArchive
from blocks.ars_client import ArsAddress
from blocks.tier import TierRefused

ADDRESS = ArsAddress("https://ars.example/", "me", "s3cret", "refinery", ("refinery",))


def test_spaces_and_danish_letters_are_escaped() -> None:
    url = ADDRESS.file_url("NHMD", "Vascular plants", "guid-1", "Ærø fjord.tif")
    assert url == (
        "https://ars.example/file_proxy/api/assetfiles/NHMD/Vascular%20plants/guid-1/"
        "%C3%86r%C3%B8%20fjord.tif"
    )


def test_a_slash_in_a_name_stays_inside_its_segment() -> None:
    assert ADDRESS.asset_service("assets", "a/b").endswith("/ars/api/v1/assets/a%2Fb")


def test_a_name_may_hold_folders_but_not_leave_its_own() -> None:
    assert ADDRESS.file_url("i", "c", "g", "thumbs/a.jpg").endswith("/i/c/g/thumbs/a.jpg")
    with pytest.raises(TierRefused):
        ADDRESS.file_url("i", "c", "g", "../other/a.jpg")


@pytest.mark.parametrize("segment", ["", ".", "..", "a\x00b"])
def test_a_segment_that_names_another_place_is_refused(segment: str) -> None:
    with pytest.raises(TierRefused, match="correct the metadata"):
        ADDRESS.file_url("NHMD", segment, "guid", "file.tif")


def test_the_token_endpoint_is_derived_unless_given() -> None:
    realm = "https://ars.example/keycloak/realms/dassco/protocol/openid-connect/token"
    assert ADDRESS.token_endpoint == realm
    given = ArsAddress("https://a", "me", "s", "u", ("u",), token_url="https://login/token")
    assert given.token_endpoint == "https://login/token"


def test_the_secret_is_not_in_the_repr() -> None:
    assert "s3cret" not in repr(ADDRESS)


def test_the_block_makes_the_address_and_hides_the_secret() -> None:
    block = ArsArchive(
        base_url="https://ars.example", client_id="me", client_secret=SecretStr("s3cret")
    )
    assert isinstance(block, Block)
    assert "s3cret" not in repr(block)
    address = block.address()
    assert address.client_secret == "s3cret"
    assert address.users == ("specimen-refinery",)


def test_the_block_refuses_an_empty_list_of_users() -> None:
    with pytest.raises(ValidationError):
        ArsArchive(base_url="https://a", client_id="me", client_secret=SecretStr("s"), users=[])
