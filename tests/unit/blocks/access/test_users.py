"""The file of users: who is in it, who changes it, and that a broken one lets nobody in."""

import os
import threading
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from blocks.access.users import (
    BrokenUsersFile,
    CannotChangeUser,
    LocalUser,
    Role,
    UsersFile,
    user_name,
)

HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("horse battery")
"""Of the least parameters, for speed."""

WITH = f'[[user]]\nname = "a"\nrole = "reader"\npassword = "{HASH}"\nworkstations = {{}}\n'
"""A user's entry whose workstations are still to be filled in."""


def user(name: str, role: Role = Role.READER) -> LocalUser:
    return LocalUser(name=name, role=role, password=HASH)


@pytest.fixture
def file(tmp_path: Path) -> UsersFile:
    return UsersFile(tmp_path / "state" / "users.toml")


def test_a_file_that_is_not_there_has_no_users(file: UsersFile) -> None:
    assert file.read() == {} and file.find("anna") is None


def test_what_was_written_is_read_again_by_a_person_and_by_another_process(file: UsersFile) -> None:
    names = ["Åse Sørensen", 'with "quotes" \\ and #', "王芳"]
    for name in names:
        file.add(user(name, Role.OPERATOR))
    again = UsersFile(file.path)
    assert [each.name for each in again.read().values()] == names
    assert {each.role for each in again.read().values()} == {Role.OPERATOR}
    assert 'name = "Åse Sørensen"\nrole = "operator"' in file.path.read_text("utf-8")


def test_the_workstations_of_a_user_are_kept_beside_the_role(file: UsersFile) -> None:
    for name, targets in (("anna", ("WORKHERB0001", "Ny æske")), ("bo", ("*",)), ("ib", ())):
        file.add(user(name).model_copy(update={"workstations": targets}))
    again = UsersFile(file.path).read()
    assert again["anna"].workstations == ("WORKHERB0001", "Ny æske")
    assert again["bo"].workstations == ("*",) and again["ib"].workstations == ()
    assert file.path.read_text("utf-8").count("workstations = ") == 2
    file.change("anna", lambda anna: anna.model_copy(update={"role": Role.OPERATOR}))
    assert (anna := file.find("anna")) and anna.workstations == ("WORKHERB0001", "Ny æske")


def test_a_file_that_was_written_before_there_were_workstations_is_read(file: UsersFile) -> None:
    file.path.parent.mkdir()
    file.path.write_text(f'[[user]]\nname = "a"\nrole = "reader"\npassword = "{HASH}"\n')
    assert (found := file.find("a")) and found.workstations == ()


def test_only_its_owner_may_read_it_also_when_it_was_open_before(file: UsersFile) -> None:
    file.add(user("anna"))
    file.path.chmod(0o644)
    file.add(user("bo"))
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_what_another_process_changes_counts_at_once(file: UsersFile) -> None:
    file.add(user("anna"))
    assert file.find("anna") is not None
    UsersFile(file.path).remove("anna")
    assert file.find("anna") is None
    UsersFile(file.path).add(user("bo"))
    UsersFile(file.path).change("bo", lambda bo: bo.model_copy(update={"role": Role.OPERATOR}))
    assert (found := file.find("bo")) and found.role is Role.OPERATOR
    file.path.unlink()
    assert file.find("bo") is None


def test_a_file_that_has_not_changed_is_not_read_again(file: UsersFile) -> None:
    file.add(user("anna"))
    assert file.read() is file.read()


def test_capitals_and_composition_make_no_second_user(file: UsersFile) -> None:
    file.add(user("Åse"))
    assert (found := file.find("A\u030ase")) and found.name == "Åse"
    assert file.find("åse") == found
    with pytest.raises(CannotChangeUser, match="Åse is a user already"):
        file.add(user("åSE"))


@pytest.mark.parametrize(
    "name", ["", " anna", "anna ", "an\nna", "an\0na", "a" * 101, "an\u200bna", "an\u202ena"]
)
def test_what_cannot_be_a_name_in_the_history_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name: write 1 to 100 characters"):
        user_name(name)


def test_a_user_who_is_not_there_is_refused_with_those_who_are(file: UsersFile) -> None:
    with pytest.raises(CannotChangeUser, match="no user 'anna'; there is: nobody"):
        file.remove("anna")
    file.add(user("bo"))
    with pytest.raises(CannotChangeUser, match="there is: bo"):
        file.change("anna", lambda anna: anna)
    assert list(file.read()) == ["bo"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("user = [", "not valid TOML"),
        ("\xff", "not valid TOML"),
        ('[[user]]\nname = "a"\nrole = "reader"', "user.1.password: Field required"),
        ('[[user]]\nname = "a"\nrole = "boss"\npassword = "h"', "user.1.role: Input should be"),
        ('[[user]]\nname = "a"\nrole = "reader"\npassword = "secret"', "it is no argon2 hash"),
        (f'[[user]]\nname = "a"\nrole = "reader"\npasswort = "{HASH}"', "user.1.password"),
        (f'[[user]]\nname = "a"\nrole = "reader"\npassword = "{HASH}"\n' * 2, "'a' is there twice"),
        ("[[users]]", "users: Extra inputs"),
        (WITH.format("['..']"), "user.1.workstations.1: .*it contains .."),
        (WITH.format("['a/b']"), "user.1.workstations.1: .*it contains /"),
        (WITH.format("['{}']".format("W" * 65)), "user.1.workstations.1: .*more than 64"),
        (WITH.format("'WORKHERB0001'"), "user.1.workstations: Input should be a valid tuple"),
    ],
)
def test_a_broken_file_lets_nobody_in_and_says_where(file: UsersFile, text: str, told: str) -> None:
    file.add(user("anna"))
    assert file.find("anna")
    file.path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BrokenUsersFile, match=told) as caught:
        file.read()
    assert str(file.path) in str(caught.value) and "nobody can log in" in str(caught.value)
    assert HASH not in str(caught.value) and "secret" not in str(caught.value)
    with pytest.raises(BrokenUsersFile):
        file.add(user("bo"))
    assert file.path.read_bytes() == text.encode("latin-1")


def test_a_file_that_may_not_be_read_is_broken_and_not_empty(file: UsersFile) -> None:
    file.path.mkdir(parents=True)
    with pytest.raises(BrokenUsersFile, match="cannot be read"):
        file.read()


def test_many_may_be_added_at_once(file: UsersFile) -> None:
    threads = [
        threading.Thread(target=UsersFile(file.path).add, args=[user(f"user {n}")])
        for n in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert len(file.read()) == 8


def test_what_a_killed_process_left_is_in_nobodys_way(file: UsersFile) -> None:
    file.add(user("anna"))
    file.path.with_name("users.toml.new").write_text("[[us")
    file.add(user("bo"))
    assert list(file.read()) == ["anna", "bo"]
    assert sorted(os.listdir(file.path.parent)) == ["users.toml", "users.toml.lock"]


def test_a_hash_is_not_shown(file: UsersFile) -> None:
    assert "argon2" not in repr(user("anna"))
