"""What servers said of the tokens: the memory that keeps refusals from becoming hammering."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailoauth.tokens.record import Note

if TYPE_CHECKING:
    from mailoauth.tokens.token import Place

#: Seconds for which a replacement that was refused too keeps others from refreshing.
NOTE_LASTS: Final = 300.0


class Notes:
    """Which generation each place accepted or refused last; of this process, in memory.

    Single dictionary operations only, so any thread may call.
    """

    def __init__(self) -> None:
        self._accepted: dict[Place, int] = {}
        self._refused: dict[Place, tuple[int, float]] = {}

    def accepted(self, generation: int, place: Place) -> None:
        """Remember that the place accepted the generation."""
        self._accepted[place] = generation
        self._refused.pop(place, None)

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
        if note is not None and note.generation == generation and 0 <= now - note.time < NOTE_LASTS:
            if not worked_here:
                return False, None
        elif self._replaced_in_vain(generation, place, now):
            self._refused[place] = (generation, now)
            return False, Note(generation, place, now)
        self._refused[place] = (generation, now)
        return True, None

    def _replaced_in_vain(self, generation: int, place: Place, now: float) -> bool:
        before = self._refused.get(place)
        return before is not None and before[0] < generation and 0 <= now - before[1] < NOTE_LASTS
