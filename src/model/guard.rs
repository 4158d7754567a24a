//! May this answer replace what is published?
//!
//! "Consul is up and empty" takes more services down than "Consul is down": a wiped server, a
//! narrowed token and a restored snapshot all look like keys deleted on purpose. The guard is pure:
//! it accepts, holds, or asks a question that the mechanism puts to Consul before offering again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::moment::Moment;
use super::reading::{Mode, Reading};
use super::snapshot::{Digest, Snapshot};

/// How long the same shrunken content must stand before a consistent read may confirm it.
pub const PROBATION: Duration = Duration::from_secs(300);

/// Fewer lost keys than this are never called a shrinkage, whatever the percentage.
const FEW: usize = 10;

/// What the operator allows.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// An empty prefix is a normal state of this source.
    pub allow_empty: bool,
    /// Losing more than this share of the keys at once is held, 0 to 100.
    pub max_shrink_percent: u8,
}

/// What an answer is measured against: the published content, else the newest valid backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// Its content digest.
    pub digest: Digest,
    /// Its keys.
    pub keys: usize,
    /// Its Consul index.
    pub index: u64,
}

/// An answer as the guard sees it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Its content digest.
    pub digest: Digest,
    /// Its keys.
    pub keys: usize,
    /// Its Consul index.
    pub index: u64,
    /// How it was asked for.
    pub mode: Mode,
    /// Consul said that it left keys out.
    pub filtered: bool,
    /// A published key is missing that the token may not read.
    pub hides: bool,
}

/// A refused answer: the old generation stays. Kept on the volume, so that a restart does not
/// forget it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why.
    pub reason: Reason,
    /// The refused content; `None` where it was too large to be read to its end.
    pub digest: Option<Digest>,
    /// Its keys (as far as it was read).
    pub keys: usize,
    /// The keys of the content it would have replaced.
    pub baseline_keys: usize,
    /// Since when this very content is refused.
    pub since: Moment,
}

/// Why an answer was refused. The words are label values of the metric `seedcar_held`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No keys.
    Empty,
    /// Too many keys fewer than before.
    Shrunken,
    /// Keys are missing, and Consul said the token does not see all of them.
    Filtered,
    /// A stale answer has keys fewer than before: never a reason to delete.
    Stale,
    /// More keys or bytes than allowed.
    TooLarge,
    /// The generation that it is part of did not pass its validation.
    Invalid,
    /// Its index is lower than the published one. A leader that stood still while another was elected
    /// does not know it at first and answers from its past; after a restore a consistent read says
    /// the same at once.
    Older,
}

/// The guard's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Publish it.
    Accept,
    /// Refuse it.
    Hold(Hold),
    /// Refuse it for now, but a consistent read of the same content would confirm it.
    Confirm(Hold),
}

// === impl Reason ===

impl Reason {
    /// Every reason, for metrics that start at zero.
    pub const ALL: [Reason; 7] = [
        Reason::Empty,
        Reason::Shrunken,
        Reason::Filtered,
        Reason::Stale,
        Reason::TooLarge,
        Reason::Invalid,
        Reason::Older,
    ];

    /// The machine word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Shrunken => "shrunken",
            Self::Filtered => "filtered",
            Self::Stale => "stale",
            Self::TooLarge => "too_large",
            Self::Invalid => "invalid",
            Self::Older => "older",
        }
    }

    /// How long the same content must stand before a consistent read may confirm it; `None` where
    /// none can.
    fn probation(self) -> Option<Duration> {
        match self {
            Self::Shrunken => Some(PROBATION),
            Self::Older => Some(Duration::ZERO),
            Self::Empty | Self::Filtered | Self::Stale | Self::TooLarge | Self::Invalid => None,
        }
    }
}

// === impl Candidate ===

impl From<&Reading> for Candidate {
    fn from(reading: &Reading) -> Self {
        Self {
            digest: reading.snapshot.digest(),
            keys: reading.snapshot.keys(),
            index: reading.snapshot.index(),
            mode: reading.mode,
            filtered: reading.filtered,
            hides: reading.hides,
        }
    }
}

// === impl Baseline ===

impl Baseline {
    /// Whether an answer accepted against `judged` might not have been against this one. Publishing
    /// takes a while, and what came meanwhile was measured against the content before: keys that both
    /// gained and lost in that time would go uncounted.
    pub fn outgrows(&self, judged: Option<&Baseline>, keys: usize, index: u64) -> bool {
        let (keys_then, index_then) = judged.map_or((0, 0), |b| (b.keys, b.index));
        let loses_more = keys < self.keys && self.keys > keys_then;
        let goes_back = index < self.index && self.index > index_then;
        loses_more || goes_back
    }
}

// === impl Hold ===

impl Hold {
    /// A hold of content that was accepted by the guard and whose generation did not pass its
    /// validation. The clock of `before` goes on if it was of the same content.
    pub fn invalid(
        snapshot: &Snapshot,
        baseline_keys: usize,
        before: Option<&Hold>,
        now: Moment,
    ) -> Self {
        let (reason, digest) = (Reason::Invalid, Some(snapshot.digest()));
        let same = before.filter(|hold| hold.reason == reason && hold.digest == digest);
        let since = same.map_or(now, |hold| hold.since);
        Self { reason, digest, keys: snapshot.keys(), baseline_keys, since }
    }

    /// When asking again could change the verdict without new content; `None` if only a person or
    /// new content can.
    pub fn recheck_at(&self) -> Option<Moment> {
        self.reason.probation().map(|probation| self.since + probation)
    }

    /// A hold of an answer that was too large to be read to its end. The clock of `before` goes on.
    pub fn too_large(
        keys: usize,
        baseline_keys: usize,
        before: Option<&Hold>,
        now: Moment,
    ) -> Self {
        let since = match before {
            Some(hold) if hold.reason == Reason::TooLarge => hold.since,
            _ => now,
        };
        Self { reason: Reason::TooLarge, digest: None, keys, baseline_keys, since }
    }
}

/// Judges `candidate` against `baseline`.
///
/// `accepted`: a person has accepted this digest. `before`: the hold now in force for the source, so
/// that the clock of the same content goes on. `evidence`: the answer of a consistent read asked
/// after a `Confirm`.
pub fn judge(
    policy: &Policy,
    baseline: Option<&Baseline>,
    candidate: &Candidate,
    accepted: bool,
    before: Option<&Hold>,
    evidence: Option<&Candidate>,
    now: Moment,
) -> Verdict {
    let Some(reason) = objection(policy, baseline, candidate) else {
        return Verdict::Accept;
    };
    if accepted {
        return Verdict::Accept;
    }
    let same = before.filter(|h| h.reason == reason && h.digest == Some(candidate.digest));
    let hold = Hold {
        reason,
        digest: Some(candidate.digest),
        keys: candidate.keys,
        baseline_keys: baseline.map_or(0, |b| b.keys),
        since: same.map_or(now, |h| h.since),
    };
    if hold.recheck_at().is_none_or(|due| now < due) {
        return Verdict::Hold(hold);
    }
    match evidence {
        None => Verdict::Confirm(hold),
        Some(evidence) if confirms(reason, evidence, candidate, baseline) => Verdict::Accept,
        Some(_) => Verdict::Hold(hold),
    }
}

/// The first reason not to believe the candidate.
fn objection(
    policy: &Policy,
    baseline: Option<&Baseline>,
    candidate: &Candidate,
) -> Option<Reason> {
    if baseline.is_some_and(|b| b.digest == candidate.digest) {
        return None;
    }
    if candidate.keys == 0 {
        return (!policy.allow_empty).then_some(Reason::Empty);
    }
    let baseline = baseline?;
    let before = baseline.keys;
    let lost = before.saturating_sub(candidate.keys);
    if lost > 0 && candidate.mode == Mode::Stale {
        return Some(Reason::Stale);
    }
    // Before Consul 1.11 nothing tells of it but the question whether the token may read what is missing.
    if candidate.hides || (lost > 0 && candidate.filtered) {
        return Some(Reason::Filtered);
    }
    let too_many = lost * 100 > before * usize::from(policy.max_shrink_percent);
    if lost >= FEW && too_many {
        return Some(Reason::Shrunken);
    }
    (candidate.index < baseline.index).then_some(Reason::Older)
}

/// A leader-confirmed read with nothing left out that bears the candidate out.
///
/// Shrunken: the same content, at an index that is not lower than the published one. A lower index is
/// a rebuilt or restored cluster: that takes a person. Older: the same content, or another that is
/// below the published index too, because somebody writes to what was restored.
fn confirms(
    reason: Reason,
    evidence: &Candidate,
    candidate: &Candidate,
    baseline: Option<&Baseline>,
) -> bool {
    let went_back = baseline.is_some_and(|b| evidence.index < b.index);
    let same = evidence.digest == candidate.digest;
    let bears_out = if reason == Reason::Older { same || went_back } else { same && !went_back };
    evidence.mode == Mode::Consistent && !evidence.filtered && bears_out
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { allow_empty: false, max_shrink_percent: 50 };

    fn digest(n: u8) -> Digest {
        Digest::from_bytes([n; 32])
    }

    fn baseline(keys: usize) -> Baseline {
        Baseline { digest: digest(1), keys, index: 100 }
    }

    fn candidate(keys: usize) -> Candidate {
        let (mode, filtered, hides) = (Mode::Default, false, false);
        Candidate { digest: digest(2), keys, index: 101, mode, filtered, hides }
    }

    fn reason(baseline: Option<&Baseline>, candidate: &Candidate) -> Option<Reason> {
        match judge(&POLICY, baseline, candidate, false, None, None, Moment(0)) {
            Verdict::Accept => None,
            Verdict::Hold(hold) | Verdict::Confirm(hold) => Some(hold.reason),
        }
    }

    #[test]
    fn each_objection() {
        let filtered = Candidate { filtered: true, ..candidate(19) };
        let hides = Candidate { hides: true, ..candidate(20) };
        let stale = Candidate { mode: Mode::Stale, ..candidate(19) };
        let unchanged = Candidate { digest: digest(1), ..candidate(0) };
        for (keys, candidate, expected) in [
            (20, candidate(20), None),
            (20, candidate(0), Some(Reason::Empty)),
            (0, candidate(0), Some(Reason::Empty)),
            (20, candidate(10), None),
            (20, candidate(9), Some(Reason::Shrunken)),
            (9, candidate(1), None),
            (20, filtered, Some(Reason::Filtered)),
            (19, filtered, None),
            (20, hides, Some(Reason::Filtered)),
            (20, stale, Some(Reason::Stale)),
            (19, stale, None),
            (0, unchanged, None),
        ] {
            assert_eq!(reason(Some(&baseline(keys)), &candidate), expected, "{keys} {candidate:?}");
        }
        assert_eq!(reason(None, &candidate(1)), None);
        assert_eq!(reason(None, &candidate(0)), Some(Reason::Empty));
    }

    #[test]
    fn an_accepted_digest_and_allow_empty_let_through() {
        let empty = candidate(0);
        let b = baseline(20);
        let accepted = judge(&POLICY, Some(&b), &empty, true, None, None, Moment(0));
        assert_eq!(accepted, Verdict::Accept);
        let policy = Policy { allow_empty: true, ..POLICY };
        assert_eq!(judge(&policy, Some(&b), &empty, false, None, None, Moment(0)), Verdict::Accept);
    }

    #[test]
    fn a_shrunken_answer_is_confirmed_after_its_probation_only() {
        let (b, small) = (baseline(20), candidate(3));
        let judge = |c: &Candidate, before: Option<&Hold>, evidence: Option<&Candidate>, now| {
            judge(&POLICY, Some(&b), c, false, before, evidence, now)
        };
        let Verdict::Hold(hold) = judge(&small, None, None, Moment(7)) else { panic!() };
        let due = Moment(7) + PROBATION;
        assert_eq!(hold.recheck_at(), Some(due));
        assert_eq!(judge(&small, Some(&hold), None, Moment(due.0 - 1)), Verdict::Hold(hold));
        assert_eq!(judge(&small, Some(&hold), None, due), Verdict::Confirm(hold));

        let yes = Candidate { mode: Mode::Consistent, ..small };
        assert_eq!(judge(&small, Some(&hold), Some(&yes), due), Verdict::Accept);
        for no in [
            Candidate { digest: digest(9), ..yes },
            Candidate { filtered: true, ..yes },
            Candidate { index: 99, ..yes },
            small,
        ] {
            assert_eq!(judge(&small, Some(&hold), Some(&no), due), Verdict::Hold(hold), "{no:?}");
        }
    }

    #[test]
    fn an_older_answer_needs_a_consistent_read_and_no_time() {
        let b = baseline(20);
        let old = Candidate { index: 99, ..candidate(20) };
        let judge = |evidence: Option<&Candidate>| {
            judge(&POLICY, Some(&b), &old, false, None, evidence, Moment(7))
        };
        let Verdict::Confirm(hold) = judge(None) else { panic!() };
        assert_eq!(hold.reason, Reason::Older);
        let same = Candidate { mode: Mode::Consistent, ..old };
        let written_since = Candidate { digest: digest(3), ..same };
        for yes in [same, written_since] {
            assert_eq!(judge(Some(&yes)), Verdict::Accept, "{yes:?}");
        }
        let ahead = Candidate { digest: digest(1), index: 100, ..same };
        for no in [ahead, Candidate { filtered: true, ..same }, old] {
            assert_eq!(judge(Some(&no)), Verdict::Hold(hold), "{no:?}");
        }
        let shrunken = Candidate { index: 99, ..candidate(3) };
        assert_eq!(reason(Some(&b), &shrunken), Some(Reason::Shrunken), "that takes a person");
    }

    #[test]
    fn what_is_published_meanwhile_outgrows_a_judgement() {
        let (then, published) = (baseline(20), Baseline { index: 102, ..baseline(30) });
        for (keys, index, expected) in [(30, 103, false), (29, 103, true), (30, 101, true)] {
            assert_eq!(published.outgrows(Some(&then), keys, index), expected, "{keys} at {index}");
        }
        assert!(!published.outgrows(Some(&published), 16, 101), "judged against it");
        let less = Baseline { keys: 15, index: 100, ..then };
        assert!(!less.outgrows(Some(&then), 10, 99), "that was the harder judgement");
        assert!(published.outgrows(None, 29, 103));
    }

    #[test]
    fn other_content_starts_the_clock_again() {
        let (b, small) = (baseline(20), candidate(3));
        let old = Hold {
            reason: Reason::Shrunken,
            digest: Some(digest(8)),
            keys: 3,
            baseline_keys: 20,
            since: Moment(0),
        };
        let now = Moment(0) + PROBATION;
        let verdict = judge(&POLICY, Some(&b), &small, false, Some(&old), None, now);
        assert!(matches!(verdict, Verdict::Hold(hold) if hold.since == now), "{verdict:?}");
    }

    #[test]
    fn empty_is_never_confirmed_by_asking() {
        let empty = candidate(0);
        let b = baseline(20);
        let before = Hold {
            reason: Reason::Empty,
            digest: Some(empty.digest),
            keys: 0,
            baseline_keys: 20,
            since: Moment(0),
        };
        let yes = Candidate { mode: Mode::Consistent, ..empty };
        let later = Moment(0) + PROBATION * 100;
        let verdict = judge(&POLICY, Some(&b), &empty, false, Some(&before), Some(&yes), later);
        assert_eq!(verdict, Verdict::Hold(before));
        assert_eq!(before.recheck_at(), None);
    }
}
