//! Which of Consul's servers sends an answer, and how long that takes it.
//!
//! All pods have one list of servers. What asks for the leader's word goes to the first of it, which is
//! the leader here: the hardest case for it. What any server may answer goes to one that each pod has
//! drawn. The choice is the client's, which is not part of this simulation: it is made up here.

use std::time::Duration;

use seedcar::model::moment::Moment;

/// How many there are.
pub const SERVERS: usize = 3;
/// The one that leads.
pub const LEADER: usize = 0;

/// Whose word is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The leader's.
    Leader,
    /// Any server's that has reached an index.
    Any,
}

/// What one server sent in one second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Second {
    /// Answers.
    pub answers: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

/// The servers.
#[derive(Default)]
pub struct Servers {
    /// Bytes that each sends in a second at most; they take no time where that is not known.
    pub rate: Option<u64>,
    /// When each has sent what it has to.
    busy: [Moment; SERVERS],
    begun: Option<Moment>,
    seconds: Vec<[Second; SERVERS]>,
}

// === impl Servers ===

impl Servers {
    /// An answer goes to a pod, after all that the server has to send before it. Returns when it is
    /// there.
    pub fn send(&mut self, pod: usize, whose: Whose, bytes: u64, now: Moment) -> Moment {
        let server = match whose {
            Whose::Leader => LEADER,
            // Drawn, as far as anybody can see.
            Whose::Any => pod.wrapping_mul(7_919) / 16 % SERVERS,
        };
        let Some(rate) = self.rate else { return now };
        let takes = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let sent = self.busy[server].max(now) + takes;
        self.busy[server] = sent;
        let second = sent.since(*self.begun.get_or_insert(now)).as_secs() as usize;
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, Default::default());
        }
        let second = &mut self.seconds[second][server];
        (second.answers, second.bytes) = (second.answers + 1, second.bytes + bytes);
        sent
    }

    /// Counts from now on.
    pub fn begin(&mut self, now: Moment) {
        (self.begun, self.seconds) = (Some(now), Vec::new());
    }

    /// What each sent, second by second.
    pub fn seconds(&self) -> &[[Second; SERVERS]] {
        &self.seconds
    }
}
