//! What is told of the stories: a table, the figures, a picture.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::gate::Asked;
use super::picture;
use super::play::{Phase, Sample, Story};
use super::servers::Done;

/// Writes `fleet.md`, `fleet.json` and `fleet.svg`.
pub fn write(stories: &[Story], machine: &str, into: &Path) -> io::Result<()> {
    fs::create_dir_all(into)?;
    let told: Vec<Value> = stories.iter().map(json).collect();
    fs::write(into.join("fleet.json"), json!({"machine": machine, "fleets": told}).to_string())?;
    fs::write(into.join("fleet.md"), markdown(stories, machine))?;
    picture::draw(stories, &into.join("fleet.svg")).map_err(io::Error::other)
}

/// The table, under a line about the machine.
pub fn markdown(stories: &[Story], machine: &str) -> String {
    let mut page = format!(
        "{machine}.\n\nLeader / both followers together. Sent: all that a server's process wrote, to sidecars, to other servers \
         and to its disk. Bodies: answers with the whole prefix at the servers' HTTP ports. Peak: the busiest second.\n\n\
         | fleet | phase | s | p50 / p99 / max s | CPU s | sent MB | bodies MB | bodies | doorbells | requests/s | peak requests/s | peak MB/s |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for story in stories {
        for phase in &story.phases {
            let _ = writeln!(page, "{}", row(story, phase));
        }
    }
    page
}

fn row(story: &Story, phase: &Phase) -> String {
    let (leader, followers) = phase.sides();
    let seconds = phase.span.1 - phase.span.0;
    let pair = |of: &dyn Fn(&Done) -> f64, digits: usize| {
        format!("{:.digits$} / {:.digits$}", of(&leader), of(&followers))
    };
    let delays = match phase.delays.is_empty() {
        true => "-".to_owned(),
        false => {
            let [p50, p99, max] = [0.5, 0.99, 1.0].map(|part| phase.delay(part));
            format!("{p50:.2} / {p99:.2} / {max:.2}")
        }
    };
    let peak = |of: &dyn Fn(&Done) -> f64, digits: usize| {
        let (leader, followers) = peaks(story, phase, of);
        format!("{leader:.digits$} / {followers:.digits$}")
    };
    let cells = [
        format!("{} {}", story.plan.sidecars, story.tool.name()),
        phase.what.title().to_owned(),
        format!("{seconds:.1}"),
        delays,
        pair(&|done| done.used.cpu.as_secs_f64(), 2),
        pair(&|done| megabytes(done.used.sent), 1),
        pair(&|done| megabytes(bodies(done).1), 1),
        pair(&|done| bodies(done).0 as f64, 0),
        pair(&|done| done.of(Asked::Bell).requests as f64, 0),
        pair(&|done| done.asked().requests as f64 / seconds, 1),
        peak(&|done| done.asked().requests as f64, 0),
        peak(&|done| megabytes(done.used.sent), 1),
    ];
    format!("| {} |", cells.join(" | "))
}

/// Answers with the whole prefix, and their bytes.
pub fn bodies(done: &Done) -> (u64, u64) {
    let (stale, plain) = (done.of(Asked::Stale), done.of(Asked::Plain));
    (stale.requests + plain.requests, stale.bytes + plain.bytes)
}

/// The busiest second of the leader and of the followers together.
fn peaks(story: &Story, phase: &Phase, of: &dyn Fn(&Done) -> f64) -> (f64, f64) {
    let within =
        |sample: &&Sample| sample.at >= phase.span.0 - 1.0 && sample.at <= phase.span.1 + 1.0;
    let samples: Vec<&Sample> = story.samples.iter().filter(within).collect();
    let rates = samples.windows(2).map(|pair| rate(pair[0], pair[1], phase.leader, of));
    rates.fold((0.0, 0.0), |most, rate| (rate.0.max(most.0), rate.1.max(most.1)))
}

/// What the leader, and both followers, did a second between two samples.
pub fn rate(from: &Sample, to: &Sample, leader: usize, of: &dyn Fn(&Done) -> f64) -> (f64, f64) {
    let seconds = to.at - from.at;
    let each = to.done.iter().zip(&from.done).map(|(to, from)| of(&(*to - *from)) / seconds);
    let (mut led, mut followed) = (0.0, 0.0);
    for (position, rate) in each.enumerate() {
        if position == leader { led += rate } else { followed += rate }
    }
    (led, followed)
}

/// In megabytes.
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn json(story: &Story) -> Value {
    let plan = story.plan;
    let phase = |phase: &Phase| {
        json!({
            "what": phase.what.title(), "from": phase.span.0, "to": phase.span.1,
            "leader": phase.leader, "delays": phase.delays,
            "servers": phase.done.iter().map(server).collect::<Vec<_>>(),
        })
    };
    let sample = |sample: &Sample| json!({"at": sample.at, "servers": sample.done.iter().map(server).collect::<Vec<_>>()});
    json!({
        "fleet": story.tool.name(), "sidecars": plan.sidecars, "keys": plan.keys,
        "wait_s": plan.wait.as_secs_f64(), "changes": plan.changes,
        "outage_s": plan.outage.as_secs_f64(), "rollout_s": plan.rollout.as_secs_f64(),
        "phases": story.phases.iter().map(phase).collect::<Vec<_>>(),
        "samples": story.samples.iter().map(sample).collect::<Vec<_>>(),
    })
}

fn server(done: &Done) -> Value {
    let asked = Asked::ALL.map(|what| {
        let traffic = done.of(what);
        (what.word().to_owned(), json!({"requests": traffic.requests, "bytes": traffic.bytes}))
    });
    json!({
        "cpu_s": done.used.cpu.as_secs_f64(), "sent": done.used.sent,
        "asked": serde_json::Map::from_iter(asked),
    })
}
