//! Every state that the writer has put, in order, and which of them some files are.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Files by path; directories end in `/` and have none, as [`crate::rig::Pod::tree`] has them.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The file that names the state.
pub const LABEL: &str = "n";

/// All states so far. A restored one stands in it twice: where it was first, and where it came back.
#[derive(Default)]
pub struct History {
    states: Mutex<Vec<State>>,
}

#[derive(Clone)]
struct State {
    /// Consul's index of it, once a write was acknowledged.
    index: Option<u64>,
    files: Files,
}

/// What some files are.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The state at this position.
    At(usize),
    /// A state, but only one from before the position that was asked from.
    Before(usize),
    /// Nothing that was ever put, or not at this index.
    Never,
}

// === impl History ===

impl History {
    /// A state is about to be put; it may be seen from now on.
    pub fn intend(&self, files: Files) {
        self.change(|states| states.push(State { index: None, files }));
    }

    /// The last state was acknowledged at this index.
    pub fn acknowledge(&self, index: u64) {
        self.change(|states| states.last_mut().expect("a state").index = Some(index));
    }

    /// The last state.
    pub fn last(&self) -> (usize, Files) {
        self.change(|states| (states.len() - 1, states[states.len() - 1].files.clone()))
    }

    /// How many states there are.
    pub fn len(&self) -> usize {
        self.change(|states| states.len())
    }

    /// The first position, `from` or later, at which these files were put, at `index` if that is
    /// known.
    pub fn find(&self, files: &Files, index: u64, from: usize) -> Found {
        let is = |state: &State| {
            state.files.get(LABEL) == files.get(LABEL)
                && state.index.is_none_or(|known| known == index)
                && state.files == *files
        };
        self.change(|states| match states[from..].iter().position(is) {
            Some(later) => Found::At(from + later),
            None => states[..from].iter().rposition(is).map_or(Found::Never, Found::Before),
        })
    }

    fn change<R>(&self, with: impl FnOnce(&mut Vec<State>) -> R) -> R {
        with(&mut self.states.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
