"""Whether somebody writes in a folder, as far as its file server tells.

Specimens' own files have been read twice by the time a folder is closed. What lies beside them
(a raw, a note) has not: there the server's time of the last change counts, which no copying
program sets, unlike the file's own.
"""

import os

from tasks.errors import named
from tasks.files.ndrive import Listing


def is_written_in(listing: Listing, since: float) -> bool:
    """Whether what lies beside the specimens' own files changed `since` (seconds since 1970).

    Raises a FileError when one of them is gone.
    """
    extras = (entry for pair in listing.items.values() for entry in pair.extras)
    for entry in (*extras, *listing.others):
        try:
            if os.stat(entry.path).st_ctime >= since:
                return True
        except OSError as error:
            raise named(error, entry.path, reading=True) from error
    return False
