"""What the settings say of the board's login reaches the board."""

from pathlib import Path

from refinery.services import board_login
from refinery.settings import Settings


def test_a_system_of_which_nothing_is_set_has_its_own_users_and_secret(tmp_path: Path) -> None:
    first = Settings.load(tmp_path, {})
    login = board_login(first)
    assert login.users_file == tmp_path / ".refinery" / "users.toml"
    assert (login.hours, login.oidc, login.encrypted) == (12, None, False)
    assert len(login.secret) == 64 and login == board_login(first)
    assert login.secret not in repr(login)
    other = Settings.load(tmp_path, {"REFINERY_PROJECT": "other"})
    assert board_login(other).secret != login.secret


def test_what_is_set_reaches_the_board(tmp_path: Path) -> None:
    environment = {
        "REFINERY_BOARD_URL": "https://board.example",
        "REFINERY_LOGIN_HOURS": "2",
        "REFINERY_TRUSTED_PROXIES": "192.0.2.1",
        "REFINERY_OIDC_ISSUER": "https://login.example",
        "REFINERY_OIDC_CLIENT_ID": "board",
        "REFINERY_OIDC_CLIENT_SECRET": "hunter2",
        "REFINERY_OIDC_ROLE_CLAIM": "groups",
        "REFINERY_OIDC_OPERATORS": "leads",
        "REFINERY_OIDC_READERS": "*",
    }
    login = board_login(Settings.load(tmp_path, environment))
    assert login.encrypted and login.hours == 2 and login.oidc
    assert [str(network) for network in login.trusted_proxies] == ["192.0.2.1/32"]
    oidc = login.oidc
    assert (oidc.issuer, oidc.client_id, oidc.role_claim) == (
        "https://login.example", "board", "groups",
    )  # fmt: skip
    assert (oidc.client_secret, oidc.operators, oidc.readers) == ("hunter2", ("leads",), ("*",))
    assert "hunter2" not in repr(login)
