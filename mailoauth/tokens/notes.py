"""What servers said of the tokens: the memory that keeps refusals from becoming hammering."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailoauth.tokens.record import Note

if TYPE_CHECKING:
    from mailoauth.tokens.token import Place

#: Seconds for which a replacement that was refused too keeps others from refreshing.
NOTE_LASTS: Final = 300.0
#: Seconds in which a place that had a token replaced is expected to try the new one.
_VERDICT: Final = 60.0


class Notes:
    """Which generation each place accepted or refused last; of this process, in memory.

    Single dictionary operations only, so any thread may call.
    """

    def __init__(self) -> None:
        self._accepted: dict[Place, int] = {}
        self._refused: dict[Place, tuple[int, float]] = {}
        # The places that had a token replaced and have not said yet what they think of it.
        self._waiting: dict[Place, tuple[int, float]] = {}
        # The last note; others may be refused before it is in the store.
        self._note: Note | None = None

    def accepted(self, generation: int, place: Place) -> None:
        """Remember that the place accepted the generation."""
        self._accepted[place] = generation
        self._refused.pop(place, None)
        self._waiting.pop(place, None)

    def works_elsewhere(self, generation: int, place: Place) -> bool:
        """Say whether another place accepted this generation."""
        return any(
            accepted == generation and where != place
            for where, accepted in list(self._accepted.items())
        )

    def judge(
        self, generation: int, place: Place, note: Note | None, now: float
    ) -> tuple[bool, Note | None]:
        """Decide whether a refusal may be cured by a refresh; give the note to be kept, if any.

        ``note`` is the record's. A place that accepted the generation or the one before
        it knows that tokens work there: this one was revoked, and a refresh is worth it.
        """
        worked_here = self._accepted.get(place, -1) >= generation - 1
        if _holds(note, generation, now) or _holds(self._note, generation, now):
            if not worked_here:
                self._waiting.pop(place, None)
                return False, None
        elif not worked_here and self._being_tried(generation, place, now):
            return False, None
        elif self._replaced_in_vain(generation, place, now):
            self._refused[place] = (generation, now)
            self._note = Note(generation, place, now)
            self._waiting.pop(place, None)
            return False, self._note
        self._refused[place] = self._waiting[place] = (generation, now)
        return True, None

    def _replaced_in_vain(self, generation: int, place: Place, now: float) -> bool:
        before = self._refused.get(place)
        return before is not None and before[0] < generation and 0 <= now - before[1] < NOTE_LASTS

    def _being_tried(self, generation: int, place: Place, now: float) -> bool:
        """Say whether the token replaces one that another place refused a moment ago.

        Else those that meet it between the refresh and that place's second refusal
        would each have it replaced again.
        """
        return any(
            where != place and refused < generation and 0 <= now - time < _VERDICT
            for where, (refused, time) in list(self._waiting.items())
        )


def _holds(note: Note | None, generation: int, now: float) -> bool:
    return note is not None and note.generation == generation and 0 <= now - note.time < NOTE_LASTS
