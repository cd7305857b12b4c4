"""TokenCache: memory, store, one refresh at a time, and never a lost refresh token."""

from __future__ import annotations

import base64
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from mailoauth.errors import (
    ConnectionFailed,
    ConnectionTimedOut,
    SignInRequired,
    StoreError,
    Throttled,
)
from mailoauth.tokens.cache import TokenCache
from mailoauth.tokens.files import FileStore, MemoryStore
from mailoauth.tokens.notes import NOTE_LASTS
from tests.fakes import Clock, FakeRefresher, first_grant

if TYPE_CHECKING:
    from mailoauth.tokens.token import AccessToken

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

IMAP = "imap ada@example.com"


@pytest.fixture(autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILOAUTH_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("MAILOAUTH_KEY", base64.b64encode(os.urandom(32)).decode())


class Bench:
    """A signed-in cache, its identity service, its store and its clock."""

    def __init__(self, *, expires_in: float | None = 3600, min_remaining: float = 300) -> None:
        self.clock = Clock()
        self.refresher = FakeRefresher(expires_in=expires_in)
        self.store = MemoryStore()
        self.min_remaining = min_remaining
        self.cache = self.another()
        self.cache.adopt(first_grant(expires_in))

    def another(self) -> TokenCache:
        """Return a cache as another process would have it: same store, own memory."""
        return TokenCache(self.refresher, self.store, self.min_remaining, clock=self.clock)


def test_a_living_token_needs_no_request() -> None:
    bench = Bench()
    assert bench.cache.get().value == "access-0"
    assert bench.another().get().value == "access-0"
    assert bench.refresher.requests == 0


def test_a_token_near_its_end_is_refreshed_and_the_reply_is_kept() -> None:
    bench = Bench()
    bench.clock.advance(3600 - 299)
    assert bench.cache.get().value == "access-1"
    assert bench.another().get().value == "access-1"
    assert bench.refresher.refresh_tokens == ["refresh-0"]


def test_the_margin_never_counts_for_more_than_half_a_life() -> None:
    bench = Bench(expires_in=100)
    bench.clock.advance(49)
    assert bench.cache.get().value == "access-0"
    bench.clock.advance(2)
    assert bench.cache.get().value == "access-1"


def test_a_token_without_an_expiry_is_good_until_refused() -> None:
    bench = Bench(expires_in=None)
    bench.clock.advance(10**9)
    token = bench.cache.get()
    assert (token.value, token.expires_at) == ("access-0", None)
    assert bench.cache.get(rejected=token).value == "access-1"


def test_a_provider_that_does_not_rotate_keeps_the_old_refresh_token() -> None:
    bench = Bench()
    bench.refresher.rotates = False
    first = bench.cache.get(rejected=bench.cache.get())
    bench.cache.get(rejected=first)
    assert bench.refresher.refresh_tokens == ["refresh-0", "refresh-0"]


def test_keys_that_nobody_reads_survive_a_refresh() -> None:
    bench = Bench()
    bench.cache.refresh()
    record = bench.another().record()
    assert record is not None
    assert record.extra == {"instance_url": "https://example.com"}
    assert record.username == "ada@example.com"


def test_ten_threads_with_the_same_refused_token_cause_one_refresh() -> None:
    bench = Bench()
    rejected = bench.cache.get()
    gate = threading.Barrier(10)

    def get() -> str:
        gate.wait()
        return bench.cache.get(rejected=rejected).value

    with ThreadPoolExecutor(10) as pool:
        values = [job.result() for job in [pool.submit(get) for _ in range(10)]]
    assert values == ["access-1"] * 10
    assert bench.refresher.requests == 1


def test_another_process_s_refresh_is_found_without_a_request() -> None:
    bench = Bench()
    other = bench.another()
    rejected = other.get()
    bench.cache.get(rejected=rejected)
    assert other.get(rejected=rejected).value == "access-1"
    assert bench.refresher.requests == 1


def test_an_old_rejected_token_does_not_cost_a_refresh() -> None:
    bench = Bench()
    old = bench.cache.get()
    new = bench.cache.get(rejected=old)
    assert bench.cache.get(rejected=old) == new
    assert bench.refresher.requests == 1


@pytest.mark.parametrize(
    "trouble", [ConnectionFailed("503"), Throttled("429"), ConnectionTimedOut("slow")]
)
def test_passing_trouble_lends_the_token_that_still_lives(trouble: Exception) -> None:
    bench = Bench()
    bench.refresher.fail_with = trouble
    bench.clock.advance(3600 - 10)
    assert bench.cache.get().value == "access-0"
    bench.clock.advance(20)
    with pytest.raises(type(trouble)):
        bench.cache.get()
    bench.refresher.fail_with = None
    assert bench.cache.get().value == f"access-{bench.refresher.requests}"


def test_passing_trouble_does_not_lend_a_token_that_was_rejected() -> None:
    bench = Bench()
    bench.refresher.fail_with = ConnectionFailed("503")
    with pytest.raises(ConnectionFailed):
        bench.cache.get(rejected=bench.cache.get())


def test_a_required_sign_in_is_remembered_and_costs_no_more_requests() -> None:
    bench = Bench()
    bench.refresher.fail_with = SignInRequired("AADSTS700082: inactive for 90 days.")
    bench.clock.advance(3600 - 10)
    assert bench.cache.get().value == "access-0", "the living token is still lent"
    bench.clock.advance(20)
    for cache in (bench.cache, bench.another()):
        with pytest.raises(SignInRequired, match="700082"):
            cache.get()
    assert bench.refresher.requests == 1
    record = bench.cache.record()
    assert record is not None
    assert record.refresh_token == "refresh-0", "a failed refresh deletes nothing"
    assert record.state(bench.clock()) == "sign_in_required"


def test_a_sign_in_ends_a_required_sign_in() -> None:
    bench = Bench()
    bench.refresher.fail_with = SignInRequired("revoked.")
    bench.clock.advance(4000)
    with pytest.raises(SignInRequired):
        bench.cache.get()
    other = bench.another()
    other.adopt(first_grant())
    assert bench.cache.get().value == "access-0"


def test_a_forced_refresh_tries_again_after_a_required_sign_in() -> None:
    bench = Bench()
    bench.refresher.fail_with = SignInRequired("revoked.")
    with pytest.raises(SignInRequired):
        bench.cache.get(rejected=bench.cache.get())
    bench.refresher.fail_with = None
    assert bench.cache.refresh().value == "access-2"
    assert bench.cache.get().value == "access-2"


def test_another_process_that_signed_in_meanwhile_wins_over_the_refusal() -> None:
    bench = Bench()
    other = bench.another()
    rejected = bench.cache.get()
    bench.refresher.fail_with = SignInRequired("the old refresh token is dead.")
    # What cannot happen under the lock can happen with a store that is changed by hand.
    bench.refresher.before_answer = lambda: other._keeper.adopt(first_grant(), bench.clock())
    assert bench.cache.get(rejected=rejected).generation > rejected.generation
    record = bench.cache.record()
    assert record is not None
    assert record.sign_in_required == ""


def test_nobody_signed_in_says_so() -> None:
    cache = TokenCache(FakeRefresher(), MemoryStore())
    with pytest.raises(SignInRequired, match="mailoauth login"):
        cache.get()


def test_a_caller_s_deadline_ends_the_wait_and_the_refresh_goes_on_behind() -> None:
    bench = Bench()
    rejected = bench.cache.get()
    answer = threading.Event()
    bench.refresher.before_answer = answer.wait
    with pytest.raises(ConnectionTimedOut):
        bench.cache.get_within(rejected, 0.05)
    answer.set()
    assert bench.cache.get(rejected=rejected).value == "access-1"
    assert bench.refresher.requests == 1


def test_a_disk_that_fails_after_the_answer_loses_nothing() -> None:
    class FailingStore(MemoryStore):
        failing = False

        def save(self, key: str, data: bytes) -> None:
            if self.failing:
                raise StoreError("No space left on device.")
            super().save(key, data)

    bench = Bench()
    bench.store = FailingStore()
    bench.cache = bench.another()
    bench.cache.adopt(first_grant())
    rejected = bench.cache.get()
    bench.store.failing = True
    token = bench.cache.get(rejected=rejected)
    assert token.value == "access-1", "the answer is used from memory"
    assert bench.cache.get(rejected=token).value == "access-2", "and so is its refresh token"
    assert bench.refresher.refresh_tokens == ["refresh-0", "refresh-1"]
    with pytest.raises(ConnectionTimedOut), bench.store.lock(bench.refresher.identity.key, 0.05):
        pass  # nobody else gets at the dead refresh token meanwhile
    bench.store.failing = False
    bench.cache.get()
    with bench.store.lock(bench.refresher.identity.key, 1):
        pass
    assert bench.another().get().value == "access-2"


def test_a_disk_without_room_is_found_out_before_the_request() -> None:
    class FullStore(MemoryStore):
        def reserve(self, key: str, size: int) -> None:
            raise StoreError("No space left on device.")

    bench = Bench()
    bench.store = FullStore()
    bench.cache = bench.another()
    bench.cache.adopt(first_grant())
    with pytest.raises(StoreError):
        bench.cache.get(rejected=bench.cache.get())
    assert bench.refresher.requests == 0


# No hammering.


def refuse_twice(bench: Bench, place: str = IMAP) -> AccessToken:
    """Go through what the policy does when the fresh token is refused as well."""
    first = bench.cache.get()
    assert bench.cache.refused(first, place)
    second = bench.cache.get(rejected=first)
    assert not bench.cache.refused(second, place)
    return second


def test_a_replacement_that_was_refused_is_not_replaced_again_within_five_minutes() -> None:
    bench = Bench()
    second = refuse_twice(bench)
    for cache in (bench.cache, bench.another()):
        assert not cache.refused(second, IMAP), "the same place, also from another process"
        assert not cache.refused(second, "imap team@example.com"), "a place that never accepted"
    bench.clock.advance(NOTE_LASTS)
    assert bench.cache.refused(second, "imap team@example.com")


def test_a_replacement_is_not_replaced_by_others_before_its_verdict_is_in() -> None:
    bench = Bench()
    first = bench.cache.get()
    assert bench.cache.refused(first, IMAP)
    second = bench.cache.get(rejected=first)
    assert not bench.cache.refused(second, "imap team@example.com"), "it is being tried"
    assert not bench.cache.refused(second, IMAP)
    assert not bench.another().refused(second, "imap bob@example.com"), "and that is noted"


def test_a_replacement_that_was_accepted_where_it_was_asked_for_may_be_replaced_elsewhere() -> None:
    bench = Bench()
    first = bench.cache.get()
    assert bench.cache.refused(first, IMAP)
    second = bench.cache.get(rejected=first)
    bench.cache.accepted(second, IMAP)
    assert bench.cache.refused(second, "imap team@example.com")


def test_a_place_that_accepted_the_token_may_still_refresh_it() -> None:
    bench = Bench()
    first = bench.cache.get()
    bench.cache.accepted(first, "smtp ada@example.com")
    second = refuse_twice(bench)
    assert bench.cache.refused(second, "smtp ada@example.com"), "accepted, then revoked"


def test_a_replacement_that_was_accepted_and_then_revoked_is_replaced_at_once() -> None:
    bench = Bench()
    first = bench.cache.get()
    assert bench.cache.refused(first, IMAP)
    second = bench.cache.get(rejected=first)
    bench.cache.accepted(second, IMAP)
    assert bench.cache.refused(second, IMAP)
    assert bench.cache.get(rejected=second).value == "access-2"


def test_a_newer_token_ends_the_note() -> None:
    bench = Bench()
    refuse_twice(bench)
    third = bench.cache.refresh()
    assert bench.cache.refused(third, "imap team@example.com")


def test_an_old_refusal_does_not_make_a_later_one_look_uncured() -> None:
    bench = Bench()
    first = bench.cache.get()
    assert bench.cache.refused(first, IMAP)
    bench.clock.advance(3600)
    later = bench.cache.get()
    assert bench.cache.refused(later, IMAP)


def test_a_mailbox_without_permission_among_others_says_so() -> None:
    bench = Bench()
    token = bench.cache.get()
    bench.cache.accepted(token, "imap bob@example.com")
    assert bench.cache.works_elsewhere(token, IMAP)
    assert not bench.cache.works_elsewhere(token, "imap bob@example.com")


# Apps.


def test_an_app_s_token_stays_in_memory_without_a_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAILOAUTH_KEY", "not a key")
    refresher = FakeRefresher(durable=False)
    cache = TokenCache(refresher, MemoryStore())
    assert cache.get().value == "access-1"
    assert cache.get().value == "access-1"
    assert refresher.requests == 1


def test_a_person_s_token_never_stays_in_memory_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILOAUTH_KEY", "not a key")
    with pytest.raises(StoreError):
        TokenCache(FakeRefresher(), FileStore()).check()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_forked_child_goes_on_with_locks_of_its_own() -> None:
    bench = Bench()
    rejected = bench.cache.get()
    with bench.cache._lock:
        child = os.fork()
        if child == 0:
            good = bench.cache.get(rejected=rejected).value == "access-1"
            os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_whatever_a_store_raises_the_answer_is_not_lost() -> None:
    class OddStore(MemoryStore):
        failing = False

        def save(self, key: str, data: bytes) -> None:
            if self.failing:
                raise OSError("the database has gone away")
            super().save(key, data)

    bench = Bench()
    bench.store = store = OddStore()
    bench.cache = bench.another()
    bench.cache.adopt(first_grant())
    store.failing = True
    token = bench.cache.get(rejected=bench.cache.get())
    bench.cache.get(rejected=token)
    assert bench.refresher.refresh_tokens == ["refresh-0", "refresh-1"]


def test_a_logout_is_not_undone_by_a_refresh_under_way() -> None:
    bench = Bench()
    rejected = bench.cache.get()
    key = bench.refresher.identity.key
    bench.refresher.before_answer = lambda: bench.store.delete(key)
    assert bench.cache.get(rejected=rejected).value == "access-1"
    assert bench.store.load(key) is None


def test_a_failed_refresh_is_not_repeated_while_the_token_lives() -> None:
    bench = Bench()
    bench.refresher.fail_with = ConnectionFailed("503")
    bench.clock.advance(3600 - 100)
    for _ in range(10):
        assert bench.cache.get().value == "access-0"
    assert bench.refresher.requests == 1
    bench.clock.advance(15)
    bench.cache.get()
    assert bench.refresher.requests == 2


def test_a_wait_that_the_identity_service_asked_for_is_kept() -> None:
    bench = Bench()
    bench.refresher.fail_with = Throttled.after("429", 600.0)
    bench.clock.advance(4000)
    for _ in range(3):
        with pytest.raises(Throttled):
            bench.cache.get()
    assert bench.refresher.requests == 1
    bench.clock.advance(600)
    bench.refresher.fail_with = None
    assert bench.cache.get().value == "access-2"


def test_an_old_record_that_is_read_late_does_not_bring_a_rejected_token_back() -> None:
    class SlowStore(MemoryStore):
        after_load: Callable[[], object] | None = None

        def load(self, key: str) -> bytes | None:
            data = super().load(key)
            if self.after_load is not None:
                action, self.after_load = self.after_load, None
                action()
            return data

    bench = Bench()
    bench.store = store = SlowStore()
    bench.cache = bench.another()
    bench.cache.adopt(first_grant())
    rejected = bench.cache.get()
    store.after_load = lambda: bench.cache.get(rejected=rejected)
    bench.cache.record()
    assert bench.cache.get().value == "access-1"


def test_a_thread_that_cannot_be_started_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_more(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    bench = Bench()
    rejected = bench.cache.get()
    monkeypatch.setattr(threading.Thread, "start", no_more)
    assert bench.cache.get(rejected=rejected).value == "access-1"


def test_an_interrupt_while_a_refresh_is_started_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(thread: threading.Thread) -> None:
        raise KeyboardInterrupt

    bench = Bench()
    rejected = bench.cache.get()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bench.cache.get(rejected=rejected)
    assert bench.cache.get_within(rejected, 5).value == "access-1"


def test_a_sign_in_is_refused_beforehand_where_its_record_could_not_be_kept() -> None:
    class Unlockable(MemoryStore):
        def lock(self, key: str, timeout: float | None = None) -> AbstractContextManager[None]:
            raise StoreError("no locks on this file system")

    with pytest.raises(StoreError, match="no locks"):
        TokenCache(FakeRefresher(), Unlockable()).check()
