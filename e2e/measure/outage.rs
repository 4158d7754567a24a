//! Outages: how long after one a change is seen. All tools go through the same one.

use std::thread;
use std::time::{Duration, Instant};

use seedcar::demo::proxy::{Mode, Proxy};

use super::Run;
use super::load::{Change, Load};
use super::process::on_server_core;
use super::result::{Results, What};
use super::tool::{Place, Tool, template};
use crate::consul::Consul;

/// After a start: until all have asked their question.
const SETTLED: Duration = Duration::from_secs(1);

/// Each length, by a server that is killed and comes back with its data, and by a way to it that refuses.
pub fn measure(run: &Run<'_>, results: &mut Results) {
    let (consul, load) = (run.consul, run.load);
    let mut tools = vec![Tool::SeedcarTree];
    if template().is_some() {
        tools.extend([Tool::TemplateJson, Tool::TemplateDefault]);
    }
    for seconds in run.effort.outages {
        let length = Duration::from_secs(*seconds);
        after(What::Killed(*seconds), consul, load, &tools, results, |_| {
            consul.kill();
            thread::sleep(length);
            on_server_core(|| consul.restart());
            load.change(consul)
        });
        after(What::Refused(*seconds), consul, load, &tools, results, |way| {
            way.set(Mode::Refuse);
            thread::sleep(length);
            let change = load.change(consul);
            way.clear();
            Change { begun: Instant::now(), ..change }
        });
    }
}

/// From the moment that the outage is over, and a change there to be seen.
fn after(
    what: What,
    consul: &Consul,
    load: &Load,
    tools: &[Tool],
    results: &mut Results,
    outage: impl FnOnce(&Proxy) -> Change,
) {
    let way = Proxy::start(consul.addr().to_string()).expect("a proxy");
    let places: Vec<Place> = tools.iter().map(|tool| tool.place()).collect();
    let _running: Vec<_> = places.iter().map(|place| place.follow(way.addr())).collect();
    let first = load.change(consul);
    for place in &places {
        place.shows(load, &first);
    }
    thread::sleep(SETTLED);
    let change = &outage(&way);
    thread::scope(|scope| {
        let shows = |place| scope.spawn(move || Place::shows(place, load, change));
        let seen: Vec<_> = places.iter().map(shows).collect();
        for (tool, seen) in tools.iter().zip(seen) {
            let seen = seen.join().expect("it heals").saturating_duration_since(change.begun);
            results.add(what, load, tool.name(), seen.as_secs_f64());
        }
    });
}
