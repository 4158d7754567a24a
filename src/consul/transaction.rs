//! Several prefixes at one moment: a transaction that only reads.

use std::sync::Arc;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::addresses::To;
use super::error::{Error, Kind};
use super::wire::Caps;
use super::wire::transaction::{Found, Transaction};
use super::{ANSWER, Client, date, each_chunk};
use crate::model::key::Prefix;
use crate::model::reading::{Mode, Reading};
use crate::model::snapshot::Snapshot;
use crate::sys;

/// A question for everything under several prefixes.
pub struct Together<'a> {
    /// Each prefix, with the snapshot whose equal entries are shared. At most 64, none of them empty,
    /// none inside another.
    pub parts: &'a [(&'a Prefix, Option<&'a Snapshot>)],
    /// The consistency; the leader asks its followers in any case.
    pub mode: Mode,
    /// How large each part may be.
    pub caps: Caps,
}

/// What there was at that moment.
#[derive(Debug)]
pub struct Joint {
    /// What each prefix held, in the order of the question, at the index of its newest entry: Consul
    /// names no index in a transaction, and what was deleted later than that shows in no entry.
    pub readings: Vec<Reading>,
    /// The index of the newest entry of all.
    pub newest: u64,
}

impl Client {
    /// Everything under several prefixes at one moment (`PUT /v1/txn` with `get-tree`).
    pub async fn together(&self, ask: Together<'_>) -> Result<Joint, Error> {
        let answer = self.together_inner(&ask).await;
        self.ended(To::Usual, answer.as_ref().map(|joint| joint.newest > 0));
        answer
    }

    async fn together_inner(&self, ask: &Together<'_>) -> Result<Joint, Error> {
        let operation = |(prefix, _): &(&Prefix, _)| self.get_tree(prefix);
        let operations: Value = ask.parts.iter().map(operation).collect();
        // The leader may be a new one that has not caught up with what the answer before came from.
        let mode = if ask.mode == Mode::Default { Mode::Consistent } else { ask.mode };
        let path = format!("/v1/txn?{}{}", mode.parameter(), self.scope());
        let sent = sys::now();
        let body = (Method::PUT, operations.to_string());
        let answer = self.request(&path, Some(body), ANSWER).await?;
        if answer.status() != StatusCode::OK {
            let text = "HTTP 404: whoever answers knows no transactions".to_owned();
            return Err(Error::new(Kind::BadRequest, text));
        }
        let date = date(answer.headers());
        let mut decoder = Transaction::new(ask.parts, ask.caps);
        each_chunk(answer, |chunk| decoder.feed(chunk).map_err(Error::from)).await?;
        let Found { snapshots, newest, filtered } = decoder.finish()?;
        let answered = sys::now();
        let reading = |snapshot| Reading {
            snapshot: Arc::new(snapshot),
            sent,
            answered,
            date,
            mode: ask.mode,
            filtered,
            hides: false,
            joint: None,
        };
        Ok(Joint { readings: snapshots.into_iter().map(reading).collect(), newest })
    }

    /// One operation. Enterprise takes the namespace and the partition of each.
    fn get_tree(&self, prefix: &Prefix) -> Value {
        let mut operation = json!({"Verb": "get-tree", "Key": prefix.as_str()});
        let scope =
            [("Namespace", &self.settings.namespace), ("Partition", &self.settings.partition)];
        for (name, value) in scope {
            if let Some(value) = value {
                operation[name] = json!(value);
            }
        }
        json!({"KV": operation})
    }
}
