//! Every way to cut an answer short, at every byte, put to the client itself: thousands of cases in
//! seconds. An answer that is not whole is an error, whatever the question was.

use std::sync::Arc;
use std::time::Duration;

use seedcar::config::{self, Address, Token};
use seedcar::consul::error::{Error, Kind};
use seedcar::consul::wire::Caps;
use seedcar::consul::{Client, List};
use seedcar::metrics::Metrics;
use seedcar::model::confirmation::Mechanism;
use seedcar::model::reading::Mode;
use seedcar::model::reads::Reads;
use tokio::runtime::Runtime;

use super::proxy::Proxy;
use super::spoil::{Fault, Send};
use crate::consul::{Consul, Kind as Which};
use crate::ledger::{Tally, share};

/// The client as a mechanism holds it.
struct Asker {
    runtime: Runtime,
    client: Client,
    reads: Reads,
}

/// The three questions that carry content or its names.
#[derive(Clone, Copy, Debug)]
enum Question {
    Read,
    Block,
    Bell,
}

const QUESTIONS: [Question; 3] = [Question::Read, Question::Block, Question::Bell];
const CAPS: Caps = Caps { max_bytes: 1 << 20, max_keys: 100 };
/// Longer than any head that the proxy sends.
const HEAD: usize = 400;

#[test]
fn an_answer_cut_at_any_byte_is_no_answer() {
    let mut tally = Tally::of("faults::cuts::an_answer_cut_at_any_byte_is_no_answer");
    let consul = consul();
    let proxy = Proxy::start(consul.addr());
    let asker = Asker::new(&[&proxy]);
    let step = share(3, 1) as usize;
    for question in QUESTIONS {
        let size = asker.ask(question).expect("a whole answer");
        let mut ways: Vec<(String, Fault)> = Vec::new();
        // Each byte of the bodies is tried in every run, of the heads only nightly.
        for at in (0..HEAD).step_by(step) {
            ways.push((format!("head to {at}"), Fault::sent(Send::HeadTo(at))));
        }
        for at in 0..size {
            ways.push((format!("length to {at}"), Fault::sent(Send::LengthTo(at))));
            ways.push((format!("a length of {at}"), Fault::body(move |b| b[..at].to_vec())));
        }
        for at in 0..=size {
            ways.push((format!("chunk to {at}"), Fault::sent(Send::ChunkedTo(at))));
            ways.push((format!("chunks to {at}"), Fault::sent(Send::ChunksTo(at))));
        }
        for (what, fault) in ways {
            proxy.set(fault);
            let answer = asker.ask(question);
            let kind = answer.as_ref().map_err(|error| error.kind);
            tally.check(matches!(kind, Err(Kind::Malformed | Kind::Connect)), || {
                format!("{question:?}, {what}: {answer:?}")
            });
        }
        proxy.lift();
        tally.check(asker.ask(question).is_ok_and(|again| again == size), || {
            format!("{question:?}: not well after the fault")
        });
    }
    tally.finish();
}

#[test]
fn an_address_whose_bodies_are_spoiled_is_left_for_the_next() {
    let mut tally =
        Tally::of("faults::cuts::an_address_whose_bodies_are_spoiled_is_left_for_the_next");
    let consul = consul();
    let proxies = [Proxy::start(consul.addr()), Proxy::start(consul.addr())];
    let spoiled = [
        Fault::sent(Send::Reset),
        Fault::sent(Send::LengthTo(9)),
        Fault::sent(Send::ChunksTo(9)),
        Fault::body(|_| b"<html>".to_vec()),
        Fault::index(|_, _| None),
        Fault::answer(500, &[], "No cluster leader"),
        Fault::answer(429, &[], ""),
    ];
    for fault in spoiled {
        for question in QUESTIONS {
            let asker = Asker::new(&[&proxies[0], &proxies[1]]);
            proxies[0].set(fault.clone());
            let tries = [asker.ask(question), asker.ask(question), asker.ask(question)];
            tally
                .check(tries[1].is_ok() && tries[2].is_ok(), || format!("{question:?}: {tries:?}"));
        }
    }
    tally.finish();
}

fn consul() -> Consul {
    let consul = Consul::start(Which::Real);
    consul.put("app/a", "1");
    consul.put_flags("app/b/\"c\u{e9}", "two <&>", u64::MAX);
    consul.put("app/d/", "");
    consul
}

// === impl Asker ===

impl Asker {
    fn new(proxies: &[&Proxy]) -> Self {
        let address = |proxy: &&Proxy| Address::parse(&proxy.addr().to_string(), false);
        let settings = config::Consul {
            addresses: proxies.iter().map(|p| address(p).expect("an address")).collect(),
            datacenter: None,
            namespace: None,
            partition: None,
            auth: None,
            tls: config::Tls::default(),
        };
        let metrics = Arc::new(Metrics::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self {
            runtime: runtime.expect("a runtime"),
            client: Client::new(
                &settings,
                &Token::None,
                &Arc::default(),
                Mechanism::Watch.word(),
                metrics,
            ),
            reads: Reads::of_prefix("app/").expect("a prefix"),
        }
    }

    /// The size of the answer's body.
    fn ask(&self, question: Question) -> Result<usize, Error> {
        let (client, reads) = (&self.client, &self.reads);
        let block = Some((1, Duration::from_secs(1)));
        let list = |block| {
            client.list(List { reads, mode: Mode::Default, block, previous: None, caps: CAPS })
        };
        let size = self.runtime.block_on(async {
            match question {
                Question::Read => list(None).await.map(|listed| listed.size),
                Question::Block => list(block).await.map(|listed| listed.size),
                Question::Bell => client.doorbell(reads, None, CAPS).await.map(|r| r.bell.size),
            }
        })?;
        Ok(size as usize)
    }
}
