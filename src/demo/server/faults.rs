//! Answers that a real Consul cannot be made to give on demand.

use tokio::sync::watch;

/// The switches of one server; clones turn the same ones. Each request is judged when it comes in.
#[derive(Clone, Debug)]
pub struct Faults(watch::Sender<Vec<Rule>>);

/// Which requests a fault is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    agent: Option<String>,
    target: Option<String>,
    without: Option<String>,
    method: Option<String>,
    left: Option<u32>,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Connects, reads the request and says nothing, as a stopped process does. Also holds back
    /// answers of requests that were under way; all are given when the fault is cleared.
    NeverAnswer,
    /// Answers so, whatever was asked.
    Answer {
        /// HTTP status.
        status: u16,
        /// Additional headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// Leaves out `X-Consul-Index`.
    NoIndex,
    /// Says this in `X-Consul-Index`.
    Index(u64),
    /// Says this in a header, and not what it would have said there.
    Header(String, String),
    /// Closes the connection after so many bytes of the body, of whose full length the head told.
    CutBody(usize),
    /// Sends this instead of the body, with the status and headers of the true answer.
    Body(Vec<u8>),
    /// Adds `X-Consul-Results-Filtered-By-ACLs: true`, as Consul 1.11 and later do.
    FilteredByAcls,
    /// Shows no keys: lists are a 404 with the usual index, single keys a 403. This is what a token
    /// gets whose policy was narrowed to nothing.
    HideKeys,
    /// `/v1/internal/acl/authorize` says no.
    DenyAuthorize,
}

#[derive(Clone, Debug)]
struct Rule {
    requests: Requests,
    fault: Fault,
}

// === impl Requests ===

impl Requests {
    /// Every request.
    pub fn all() -> Self {
        Self::default()
    }

    /// Requests whose User-Agent contains this.
    pub fn from_agent(part: &str) -> Self {
        Self { agent: Some(part.to_owned()), ..Self::default() }
    }

    /// Only those whose path and query contain this.
    #[must_use]
    pub fn to(self, part: &str) -> Self {
        Self { target: Some(part.to_owned()), ..self }
    }

    /// Only those whose path and query do not contain this.
    #[must_use]
    pub fn without(self, part: &str) -> Self {
        Self { without: Some(part.to_owned()), ..self }
    }

    /// Only those with this method.
    #[must_use]
    pub fn method(self, method: &str) -> Self {
        Self { method: Some(method.to_owned()), ..self }
    }

    /// Only the next `count` of them; afterwards the fault is gone.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self { left: Some(count), ..self }
    }

    fn covers(&self, method: &str, target: &str, agent: &str) -> bool {
        let contains = |part: &Option<String>, text: &str| {
            part.as_deref().is_none_or(|part| text.contains(part))
        };
        contains(&self.agent, agent)
            && contains(&self.target, target)
            && self.without.as_deref().is_none_or(|part| !target.contains(part))
            && self.method.as_deref().is_none_or(|wanted| wanted == method)
            && self.left != Some(0)
    }
}

// === impl Fault ===

impl Fault {
    /// A fixed answer with a plain text and no further headers.
    pub fn status(status: u16, text: &str) -> Self {
        Self::Answer { status, headers: Vec::new(), body: text.into() }
    }

    /// 429 with a `Retry-After` of so many seconds.
    pub fn too_many_requests(retry_after_s: u64) -> Self {
        let headers = vec![("Retry-After".to_owned(), retry_after_s.to_string())];
        Self::Answer { status: 429, headers, body: Vec::new() }
    }

    /// What a server says that knows no leader, at once instead of after seven seconds.
    pub fn no_leader() -> Self {
        Self::status(500, "No cluster leader")
    }

    /// What an unprivileged token is told.
    pub fn denied() -> Self {
        Self::status(403, "Permission denied")
    }
}

// === impl Faults ===

impl Default for Faults {
    fn default() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }
}

impl Faults {
    /// Turns one fault on, in addition to those that are.
    pub fn add(&self, requests: Requests, fault: Fault) {
        self.0.send_modify(|rules| rules.push(Rule { requests, fault }));
    }

    /// Turns all faults off.
    pub fn clear(&self) {
        self.0.send_modify(Vec::clear);
    }

    /// Turns off one kind of fault, for exactly these requests.
    pub fn remove(&self, requests: &Requests, fault: &Fault) {
        self.0.send_modify(|rules| {
            rules.retain(|rule| rule.requests != *requests || rule.fault != *fault);
        });
    }

    pub(super) fn judge(&self, method: &str, target: &str, agent: &str) -> Vec<Fault> {
        let mut hit = Vec::new();
        self.0.send_if_modified(|rules| {
            for rule in rules.iter_mut().filter(|rule| rule.requests.covers(method, target, agent))
            {
                rule.requests.left = rule.requests.left.map(|left| left - 1);
                hit.push(rule.fault.clone());
            }
            false
        });
        hit
    }

    /// Sleeps while these requests are not to be answered.
    pub(super) async fn answerable(&self, method: &str, target: &str, agent: &str) {
        let silent = |rules: &Vec<Rule>| {
            rules.iter().any(|rule| {
                rule.fault == Fault::NeverAnswer && rule.requests.covers(method, target, agent)
            })
        };
        // The sender lives in `self`, so this cannot fail before it is true.
        let _ = self.0.subscribe().wait_for(|rules| !silent(rules)).await;
    }
}
