//! Answers in, questions out.

use super::*;

const WAIT: Duration = Duration::from_secs(30);
const LATE: Duration = Duration::from_secs(31);
const SOON: Duration = Duration::from_millis(5);
const NOW: Moment = Moment(1_000_000_000_000);

fn full(index: u64, elapsed: Duration) -> Full {
    Full { index, elapsed, size: 1000 }
}

fn large(index: u64) -> Full {
    Full { index, elapsed: SOON, size: 1 << 19 }
}

fn bell(index: u64, elapsed: Duration) -> Bell {
    Bell { index, elapsed, size: 91, names: 7, found: true }
}

/// A watch that has read 1 KB at index 41.
fn small() -> Follow {
    let mut follow = Follow::new(WAIT);
    assert_eq!(follow.next(NOW), Ask::Read);
    assert_eq!(follow.full(full(41, SOON), 0.5), Use::Offer);
    follow
}

/// A watch on the doorbell at index 41.
fn ringing() -> Follow {
    let mut follow = Follow::new(WAIT);
    follow.next(NOW);
    follow.full(large(41), 0.5);
    assert_eq!(follow.next(NOW), Ask::Peek);
    assert_eq!(follow.bell(bell(41, SOON), NOW, 0.5), Use::Confirm);
    assert_eq!(follow.next(NOW), Ask::Ring(41));
    follow
}

#[test]
fn a_higher_index_is_offered_and_blocked_on() {
    let mut follow = small();
    assert_eq!(follow.next(NOW), Ask::Block(41));
    assert_eq!(follow.full(full(42, SOON), 0.5), Use::Offer);
    assert_eq!(follow.next(NOW), Ask::Block(42));
}

#[test]
fn equal_and_early_reads_again_after_a_short_pause() {
    let mut follow = small();
    assert_eq!(follow.full(full(41, SOON), 0.5), Use::Distrust);
    assert_eq!(follow.next(NOW), Ask::Pause(Duration::from_millis(275)));
    assert_eq!(follow.next(NOW), Ask::Read);
    assert_eq!(follow.full(full(3, SOON), 0.5), Use::Offer, "a plain read may go back");
    assert_eq!(follow.next(NOW), Ask::Block(3));
}

#[test]
fn equal_and_late_confirms() {
    let mut follow = small();
    assert_eq!(follow.full(full(41, LATE), 0.5), Use::Offer);
    assert_eq!(follow.next(NOW), Ask::Block(41));
}

#[test]
fn while_every_answer_is_odd_it_asks_ever_more_seldom() {
    let mut follow = small();
    let mut pause = || {
        follow.full(full(0, SOON), 1.0);
        let Ask::Pause(pause) = follow.next(NOW) else { panic!("no pause") };
        follow.next(NOW);
        follow.full(full(0, SOON), 1.0);
        pause.as_millis()
    };
    assert_eq!([pause(), pause(), pause()], [500, 1000, 2000]);
    assert_eq!([pause(), pause(), pause()], [4000, 5000, 5000]);
    follow.full(full(7, SOON), 1.0);
    assert_eq!(follow.next(NOW), Ask::Block(7), "news are believed");
    follow.full(full(7, SOON), 1.0);
    assert_eq!(follow.next(NOW), Ask::Pause(Duration::from_millis(500)));
}

#[test]
fn a_lower_index_is_read_again_and_its_body_not_used() {
    let mut follow = small();
    assert_eq!(follow.full(full(40, LATE), 0.0), Use::Distrust);
    assert_eq!(follow.next(NOW), Ask::Pause(Duration::from_millis(50)));
    assert_eq!(follow.next(NOW), Ask::Read);
}

#[test]
fn an_index_of_zero_never_spins() {
    let mut follow = Follow::new(WAIT);
    follow.next(NOW);
    follow.full(full(0, SOON), 0.5);
    assert_eq!(follow.next(NOW), Ask::Block(1));
}

#[test]
fn the_doorbell_rings_and_the_content_is_fetched_at_its_index() {
    let mut follow = ringing();
    assert_eq!(follow.bell(bell(50, SOON), NOW, 0.5), Use::Discard);
    assert_eq!(follow.next(NOW), Ask::Fetch(50));
    assert_eq!(follow.full(large(52), 0.5), Use::Offer);
    assert_eq!(follow.next(NOW), Ask::Peek, "names may have changed");
    assert_eq!(follow.bell(bell(52, SOON), NOW, 0.5), Use::Confirm);
    assert_eq!(follow.next(NOW), Ask::Ring(52));
}

#[test]
fn of_a_very_large_prefix_what_has_changed_is_looked_for() {
    let mut follow = Follow::new(WAIT);
    follow.full(Full { size: parts::WORTH, ..large(41) }, 0.5);
    follow.bell(bell(41, SOON), NOW, 0.5);
    follow.bell(Bell { names: 8, ..bell(50, SOON) }, NOW, 0.5);
    assert_eq!(follow.next(NOW), Ask::Narrow(50, 8));
    assert_eq!(follow.full(large(49), 0.5), Use::Distrust);
}

#[test]
fn a_doorbell_that_never_agrees_with_the_content_does_not_spin() {
    for odd in [bell(0, SOON), bell(7, SOON), Bell { found: false, ..bell(41, SOON) }] {
        let mut follow = Follow::new(WAIT);
        let mut paused = Duration::ZERO;
        for _ in 0..8 {
            assert_eq!(follow.next(NOW), Ask::Read);
            follow.full(large(41), 1.0);
            assert_eq!(follow.next(NOW), Ask::Peek);
            assert_eq!(follow.bell(odd, NOW, 1.0), Use::Distrust);
            let Ask::Pause(pause) = follow.next(NOW) else { panic!("no pause") };
            paused += pause;
        }
        assert!(paused > Duration::from_secs(20), "{paused:?}");
    }
}

#[test]
fn a_server_that_has_not_reached_the_index_is_not_believed() {
    let mut follow = ringing();
    follow.bell(bell(50, SOON), NOW, 0.5);
    assert_eq!(follow.full(large(49), 0.5), Use::Distrust);
    follow.next(NOW);
    assert_eq!(follow.next(NOW), Ask::Read);
}

#[test]
fn a_quiet_doorbell_confirms_and_a_missing_prefix_reads() {
    let mut follow = ringing();
    assert_eq!(follow.bell(bell(41, LATE), NOW, 0.5), Use::Confirm);
    assert_eq!(follow.next(NOW), Ask::Ring(41));
    let narrowed = Bell { found: false, ..bell(41, LATE) };
    assert_eq!(follow.bell(narrowed, NOW, 0.5), Use::Discard);
    assert_eq!(follow.next(NOW), Ask::Read);
}

#[test]
fn a_token_narrowed_between_the_content_and_its_names_is_noticed() {
    let mut follow = ringing();
    follow.bell(bell(50, SOON), NOW, 0.5);
    follow.full(large(50), 0.5);
    let narrowed = Bell { names: 8, size: 20, ..bell(50, SOON) };
    assert_eq!(follow.bell(narrowed, NOW, 0.5), Use::Discard);
    assert_eq!(follow.next(NOW), Ask::Read);
    follow.full(large(50), 0.5);
    assert_eq!(follow.bell(narrowed, NOW, 0.5), Use::Confirm, "once read, it is the rule");
}

#[test]
fn after_an_outage_the_cheap_question_comes_first() {
    let mut follow = ringing();
    follow.failed(Trouble::Passing, 1.0);
    assert_eq!(follow.next(NOW), Ask::Pause(Duration::from_millis(250)));
    assert_eq!(follow.next(NOW), Ask::Peek);
    assert_eq!(follow.bell(bell(41, SOON), NOW, 0.5), Use::Confirm);
    assert_eq!(follow.next(NOW), Ask::Ring(41));
}

#[test]
fn a_read_that_is_owed_is_not_settled_by_a_quiet_doorbell() {
    let mut follow = ringing();
    follow.reread();
    for _ in 0..2 {
        follow.failed(Trouble::Passing, 1.0);
        assert!(matches!(follow.next(NOW), Ask::Pause(_)));
        assert_eq!(follow.next(NOW), Ask::Peek);
        assert_eq!(follow.bell(bell(41, SOON), NOW, 0.0), Use::Discard);
        assert_eq!(follow.next(NOW), Ask::Read, "and this fails, the first time");
    }
    follow.full(large(41), 0.5);
    follow.failed(Trouble::Passing, 1.0);
    follow.next(NOW);
    assert_eq!(follow.next(NOW), Ask::Peek);
    assert_eq!(follow.bell(bell(41, SOON), NOW, 0.5), Use::Confirm, "it is owed no longer");
}

#[test]
fn after_an_outage_a_changed_prefix_is_read_at_a_random_moment() {
    let hidden = |index| Bell { found: false, ..bell(index, SOON) };
    for (odd, ask) in [
        (bell(42, SOON), Ask::Fetch(42)),
        (bell(3, SOON), Ask::Peek),
        (hidden(41), Ask::Read),
        (hidden(42), Ask::Read),
        (Bell { names: 8, ..bell(41, SOON) }, Ask::Read),
    ] {
        let mut follow = ringing();
        follow.failed(Trouble::Passing, 1.0);
        follow.next(NOW);
        follow.next(NOW);
        assert_eq!(follow.bell(odd, NOW, 0.5), Use::Discard);
        assert_eq!(follow.next(NOW), Ask::Pause(SPREAD / 2), "{odd:?}");
        assert_eq!(follow.next(NOW), ask);
    }
}

#[test]
fn a_server_that_has_not_read_its_log_yet_is_asked_again_before_everything_is_read() {
    for (again, ask) in [
        (bell(41, SOON), Ask::Ring(41)),
        (bell(42, SOON), Ask::Fetch(42)),
        (bell(3, SOON), Ask::Read),
    ] {
        for early in [bell(3, SOON), Bell { found: false, ..bell(1, SOON) }] {
            let mut follow = ringing();
            follow.failed(Trouble::Passing, 1.0);
            while follow.next(NOW) != Ask::Peek {}
            assert_eq!(follow.bell(early, NOW, 0.5), Use::Discard);
            assert_eq!(follow.next(NOW), Ask::Pause(SPREAD / 2));
            assert_eq!(follow.next(NOW), Ask::Peek);
            follow.bell(again, NOW, 0.0);
            assert_eq!(follow.next(NOW), ask, "{again:?} after {early:?}");
        }
    }
}

#[test]
fn names_that_differed_once_do_not_confirm_the_second_time() {
    let mut follow = ringing();
    for _ in 0..3 {
        follow.failed(Trouble::Passing, 1.0);
        while !matches!(follow.next(NOW), Ask::Peek) {}
        let narrowed = Bell { names: 8, ..bell(41, SOON) };
        assert_eq!(follow.bell(narrowed, NOW, 0.0), Use::Discard);
        assert_eq!(follow.next(NOW), Ask::Read, "which fails, too");
    }
}

#[test]
fn a_doorbell_that_always_rings_early_is_asked_ever_more_seldom() {
    let mut follow = ringing();
    for pause in [500, 1000, 2000, 4000, 5000] {
        assert_eq!(follow.bell(bell(41, SOON), NOW, 1.0), Use::Distrust);
        assert_eq!(follow.next(NOW), Ask::Pause(Duration::from_millis(pause)));
        assert_eq!(follow.next(NOW), Ask::Read);
        follow.full(large(41), 1.0);
        assert_eq!(follow.next(NOW), Ask::Peek);
        assert_eq!(follow.bell(bell(41, SOON), NOW, 1.0), Use::Confirm);
        assert_eq!(follow.next(NOW), Ask::Ring(41));
    }
}

#[test]
fn a_flat_prefix_is_watched_whole() {
    let mut follow = Follow::new(WAIT);
    follow.next(NOW);
    follow.full(large(41), 0.5);
    let dear = Bell { size: 1 << 20, ..bell(41, SOON) };
    follow.bell(dear, NOW, 0.5);
    assert_eq!(follow.next(NOW), Ask::Block(41));
}

#[test]
fn small_prefixes_read_plainly_after_an_outage() {
    let mut follow = small();
    follow.failed(Trouble::Passing, 0.0);
    assert!(matches!(follow.next(NOW), Ask::Pause(_)));
    assert_eq!(follow.next(NOW), Ask::Read);
}

#[test]
fn a_storm_of_changes_is_a_rhythm() {
    let mut follow = small();
    for (index, pause) in [(42, None), (43, None), (44, Some(100))] {
        assert_eq!(follow.full(full(index, SOON), 0.5), Use::Offer);
        follow.offered(Offered::Changed, NOW);
        if let Some(ms) = pause {
            assert_eq!(follow.next(NOW), Ask::Pause(Duration::from_millis(ms)));
        }
        assert_eq!(follow.next(NOW), Ask::Block(index));
    }
}

#[test]
fn wakes_without_news_slow_down_to_one_a_second() {
    let mut follow = small();
    let mut pauses = Vec::new();
    for index in 42..46 {
        follow.full(full(index, SOON), 0.5);
        follow.offered(Offered::Same, NOW);
        follow.idle_wake(NOW);
        if let Ask::Pause(pause) = follow.next(NOW) {
            pauses.push(pause.as_secs());
        }
    }
    assert_eq!(pauses, [1, 2]);
}

#[test]
fn a_hold_is_judged_again_when_it_is_due() {
    let mut follow = small();
    let due = NOW + Duration::from_secs(300);
    follow.offered(Offered::Held(Some(due)), NOW);
    assert_eq!(follow.next(NOW), Ask::Block(41));
    assert_eq!(follow.next(due), Ask::Read);
    follow.full(full(41, SOON), 0.5);
    follow.offered(Offered::Held(Some(due)), due);
    assert_eq!(follow.next(due), Ask::Block(41), "not at once again");
}

#[test]
fn a_hold_is_judged_again_also_after_a_stopping_server_and_an_outage() {
    let mut follow = ringing();
    let due = NOW + Duration::from_secs(300);
    follow.offered(Offered::Held(Some(due)), NOW);
    assert_eq!(follow.bell(bell(41, SOON), NOW, 0.0), Use::Distrust);
    follow.failed(Trouble::Passing, 0.0);
    while follow.next(NOW) != Ask::Peek {}
    assert_eq!(follow.bell(bell(41, SOON), NOW, 0.5), Use::Confirm);
    assert_eq!(follow.next(NOW), Ask::Ring(41));
    assert_eq!(follow.next(due), Ask::Read);
    follow.failed(Trouble::Passing, 0.0);
    while follow.next(due) != Ask::Peek {}
    assert_eq!(follow.bell(bell(41, SOON), due, 0.0), Use::Discard, "the read is owed");
}

#[test]
fn fresh_content_is_adopted_by_the_doorbell_without_a_read() {
    let mut follow = Follow::adopt(WAIT, 41, 1 << 20);
    assert_eq!(follow.next(NOW), Ask::Peek);
    assert_eq!(follow.bell(bell(41, SOON), NOW, 0.5), Use::Confirm);
    assert_eq!(follow.next(NOW), Ask::Ring(41));
    assert_eq!(Follow::adopt(WAIT, 41, 100).next(NOW), Ask::Read);
}
