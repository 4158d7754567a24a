//! What `seedcar exec` says of the application that it started: one small file, which the sidecar reads.

use serde::{Deserialize, Serialize};

/// The longest file that is read.
pub const LONGEST: u64 = 64 << 10;

/// The longest text in it; a generation's name has 31 characters.
const LONGEST_TEXT: usize = 255;

/// The state of one application. Times are RFC 3339 in UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this format; 1.
    pub schema: u32,
    /// What the application is doing.
    pub state: State,
    /// Its process id, in its own container.
    pub pid: Option<i32>,
    /// What is done on a change: the name of a signal, `restart` or `none`.
    pub on_change: String,
    /// The newest generation that was noticed.
    pub seen: Option<String>,
    /// The newest generation that the application was started with or told of, or that holds nothing
    /// new for it.
    pub told: Option<String>,
    /// Since when a change waits to be acted on.
    pub pending_since: Option<String>,
    /// The last action after a change.
    pub last: Option<Action>,
    /// What was done since `seedcar exec` was started.
    pub counts: Counts,
    /// When this was written.
    pub updated: String,
}

/// What an application is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not started: there is no generation yet.
    #[default]
    Waiting,
    /// Started.
    Running,
    /// Told to end, to be started anew.
    Restarting,
    /// It has ended, and `seedcar exec` with it.
    Ended,
}

/// An action after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Which.
    pub action: Kind,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// When.
    pub at: String,
}

/// Kinds of actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A signal was sent.
    Signal,
    /// It was stopped and started anew.
    Restart,
}

/// What was done, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Times the application was started.
    pub started: u64,
    /// Signals sent after a change.
    pub signalled: u64,
    /// Restarts after a change.
    pub restarted: u64,
    /// Actions that failed.
    pub failed: u64,
}

// === impl Report ===

impl Report {
    /// Reads one. `None` for what is none: it comes from another container, which may write anything.
    pub fn read(text: &[u8]) -> Option<Self> {
        let report: Self = serde_json::from_slice(text).ok()?;
        let action = report.last.as_ref();
        let texts = [Some(&report.on_change), Some(&report.updated)].into_iter().chain([
            report.seen.as_ref(),
            report.told.as_ref(),
            report.pending_since.as_ref(),
            action.map(|action| &action.at),
            action.and_then(|action| action.error.as_ref()),
        ]);
        let fits = texts.flatten().all(|text| text.len() <= LONGEST_TEXT);
        (report.schema == 1 && fits).then_some(report)
    }

    /// Whether the application has yet to be told of this generation.
    pub fn is_behind(&self, published: Option<&str>) -> bool {
        published.is_some() && self.told.as_deref() != published
    }
}

/// True of what may name an application, its file and a metric's label: letters, digits, `-`, `_` and
/// `.`, not first, at most 63.
pub fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=63).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report { schema: 1, told: Some("..g1".into()), ..Report::default() }
    }

    #[test]
    fn what_is_written_is_read() {
        let text = serde_json::to_vec(&report()).unwrap();
        assert_eq!(Report::read(&text), Some(report()));
    }

    #[test]
    fn what_is_no_report_is_none() {
        let other = Report { schema: 2, ..report() };
        let long = Report { told: Some("x".repeat(256)), ..report() };
        for hostile in [other, long] {
            assert_eq!(Report::read(&serde_json::to_vec(&hostile).unwrap()), None);
        }
        let deep = "[".repeat(60_000);
        for text in ["", "{", "[]", "null", "{\"schema\":1}", "\u{0}", &deep] {
            assert_eq!(Report::read(text.as_bytes()), None);
        }
    }

    #[test]
    fn an_application_is_behind_until_it_is_told_of_what_is_published() {
        assert!(report().is_behind(Some("..g2")));
        assert!(!report().is_behind(Some("..g1")) && !report().is_behind(None));
        assert!(Report::default().is_behind(Some("..g1")));
    }

    #[test]
    fn a_name_can_stand_in_a_path_and_in_a_label() {
        for good in ["nginx", "python3.12", "a_b-c", "0"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".", "..", ".seedcar", "a/b", "a b", "é", &"x".repeat(64)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
