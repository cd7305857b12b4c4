"""The verbs about folders: list them, find the one for a use, make, rename and remove them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailoauth.checks import check_folder
from mailoauth.errors import FolderNotFound
from mailoauth.later import Later
from mailoauth.mail.access import Access

if TYPE_CHECKING:
    from mailoauth.mail import folder_commands
    from mailoauth.mail import folders as listed
    from mailoauth.mail.folders import Folder
    from mailoauth.network import Deadline
else:
    folder_commands = Later("mailoauth.mail.folder_commands")
    listed = Later("mailoauth.mail.folders")


class FolderVerbs(Access):
    """The folders of a mailbox."""

    #: What the last LIST said, for :meth:`special`; None where it may be out of date.
    _known: list[Folder] | None = None

    def folders(self, *, counts: bool = True) -> list[Folder]:
        """Return all folders, with how many messages each has and how many are unseen.

        One round trip where the server can (LIST-STATUS); else, as at Outlook, one more a
        folder: ``counts=False`` does without. A folder whose numbers the server does
        not tell has None.
        """
        self._known = self.in_folder(
            None,
            lambda connection: folder_commands.list_folders(
                connection, counts=counts, subscriptions=True
            ),
        )
        return list(self._known)

    def special(self, use: str) -> str:
        r"""Return the name of the folder for "sent", "trash", "drafts", "junk", "archive", "all" or "flagged".

        By the server's own mark (RFC 6154), else by the names that it commonly has in many
        languages; ``FolderNotFound`` if there is none. The folders are listed once, and
        again when one was not found where it should be.
        """
        return self._special(use, self.begin())

    def _special(self, use: str, deadline: Deadline) -> str:
        use = listed.check_use(use)
        if self._known is None:
            self._known = self.in_folder(None, folder_commands.list_folders, deadline=deadline)
        found = listed.special(self._known, use)
        if found is not None:
            return found.name
        self._known = None
        raise FolderNotFound(
            f"{self.account.imap.host} marks no folder of {self.address} as the one for "
            f'"{use}", and none has a name that is common for it.',
            remedy="Name the folder itself; folders() lists them all.",
            account=self.account.name,
        )

    def create_folder(self, name: str) -> None:
        """Make a folder; the name of a subfolder is its whole path, as in "Work/2026"."""
        check_folder(name)
        self._known = None
        self.in_folder(
            None, lambda connection: folder_commands.create(connection, name), repeat=False
        )

    def rename_folder(self, name: str, new_name: str) -> None:
        """Rename a folder, and with it all below; INBOX is emptied into a new one instead."""
        check_folder(name)
        check_folder(new_name)
        self._known = None
        deadline = self.begin()
        self.write_marks(name, deadline=deadline)  # afterwards there is no such folder
        self.in_folder(
            None,
            lambda connection: folder_commands.rename(connection, name, new_name),
            deadline=deadline,
            repeat=False,
        )

    def delete_folder(self, name: str) -> None:
        """Remove a folder with all messages in it, for good."""
        check_folder(name)
        self._known = None
        self.in_folder(
            None, lambda connection: folder_commands.delete(connection, name), repeat=False
        )
        while self._marks.take(name):  # nothing is left that could be marked
            pass

    def subscribe(self, name: str) -> None:
        """Have mail programs show a folder that only show what is subscribed to."""
        self._subscribe(name, wanted=True)

    def unsubscribe(self, name: str) -> None:
        """Have mail programs hide a folder that only show what is subscribed to."""
        self._subscribe(name, wanted=False)

    def _subscribe(self, name: str, *, wanted: bool) -> None:
        check_folder(name)
        self.in_folder(
            None, lambda connection: folder_commands.subscribe(connection, name, wanted=wanted)
        )
