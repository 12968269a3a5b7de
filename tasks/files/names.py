"""What a name in a session's folder means: a file still being copied, one to be left alone, or one
that may belong to a specimen.

Copying and synchronising programs keep a file under another name until it is complete. Such names
are known by the patterns of the programs themselves; where one is unsure, a name counts as
unfinished, which costs a wait and never a file.
"""

import re
import unicodedata

COMPLETE_MARKER = ".complete"
QUARANTINE_NOTE = "QUARANTINE.txt"

LEFT_ALONE = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", QUARANTINE_NOTE.lower()}
)

_ENDINGS = (
    *(".part", ".partial", ".tmp", ".temp"),  # KDE, Firefox, ownCloud, rclone, Explorer, Office …
    *(".filepart", ".crdownload", ".opdownload", ".download"),  # WinSCP, browsers
    *(".ffs_tmp", ".gstmp", ".gs_tmp", ".aria2", ".!sync", ".bts", ".synctemp", ".syncpart"),
    *(".$$$", ".lftp-pget-status", ".incomplete", ".inprogress", ".uploading"),
)
"""Endings under which copying programs keep a file until it is complete."""

_BEGINNINGS = ("~syncthing~", ".syncthing.", ".goutputstream-")

_TEMPORARY = re.compile(
    r"""  \..+\.[a-z0-9]{6}            # rsync: .x.tif.Ab12Cd
        | \..+\.~[0-9a-f]+           # Nextcloud, ownCloud: .x.tif.~1a2b3c
        | .+\.sb-[0-9a-f]{8}-[a-z0-9]{6}   # macOS, a file being saved
        | .+~rf[0-9a-f]+\.tmp        # Windows, a file being replaced
    """,
    re.VERBOSE | re.IGNORECASE,
)

_HIDDEN = (
    *("._", ".ds_store", ".apdisk", ".smbdelete", ".nfs", ".fuse_hidden"),  # Finder, servers
    *(".~lock.", ".dropbox", ".owncloud", ".nextcloud", f".{QUARANTINE_NOTE.lower()}."),
)
"""Beginnings of hidden names that no copy is ever made under."""

UNFINISHED_FOLDERS = frozenset(
    {".~tmp~", ".rsync-partial", ".rsync-tmp", ".tmp.driveupload", ".tmp.drivedownload"}
)
"""Folders in which rsync and Google Drive keep files until they are complete."""


def is_unfinished(name: str) -> bool:
    """Whether a copying program keeps a file under this name that is not complete yet."""
    lower = name.lower()
    if lower.startswith(_HIDDEN) or lower.startswith("~$"):
        return False
    return (
        lower.endswith(_ENDINGS)
        or lower.startswith(_BEGINNINGS)
        or _TEMPORARY.fullmatch(lower) is not None
    )


def is_left_alone(name: str) -> bool:
    """Whether a name is hidden, a safety copy of an editor, or belongs to a server or to us."""
    lower = name.lower()
    return lower.startswith((".", "~$")) or lower.endswith("~") or lower in LEFT_ALONE


def is_readable_name(name: str) -> bool:
    """Whether a name is text throughout: no control characters, no bytes that are no UTF-8."""
    # Undecodable bytes arrive as surrogates, which neither JSON nor the database can hold.
    return not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)
