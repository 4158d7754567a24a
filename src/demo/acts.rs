//! The play: what an application sees while things change and fail. Each act checks itself.

use super::proxy::Mode;
use super::stage::{Flop, Stage};
use crate::model::confirmation::{Mechanism, Origin};
use crate::model::guard::Reason;
use crate::model::health::Health;

/// The heartbeat is set short, so that nobody waits 15 minutes for it; the rest is as in production.
const RUN: [&str; 6] = ["--heartbeat", "3s", "--wait", "10s", "--backup-delay", "1s"];

/// Plays all acts.
pub fn play(stage: &mut Stage) -> Result<(), Flop> {
    seed(stage)?;
    change(stage)?;
    watch_cut(stage)?;
    emptied(stage)?;
    consul_killed(stage)?;
    restart_from_backup(stage)?;
    recovery(stage)
}

fn seed(stage: &mut Stage) -> Result<(), Flop> {
    stage.act("A prefix in Consul becomes a directory of files");
    for (key, value) in [("db/host", "db1.internal"), ("db/pool", "20"), ("greeting", "hello")] {
        stage.put(key, value)?;
    }
    let seeded = stage.init(&[])?;
    stage.check("seedcar init exits 0", seeded)?;
    stage.shows("db/host", "db1.internal")?;
    stage.start(&RUN)?;
    stage.until("watch, heartbeat and backup work", || {
        let all_up = |s: &crate::status::Source| s.mechanisms.values().all(|m| m.up);
        stage.status().is_some_and(|s| s.sources.values().all(all_up))
    })?;
    Ok(())
}

fn change(stage: &mut Stage) -> Result<(), Flop> {
    stage.act("A change arrives");
    stage.put("greeting", "hello again")?;
    stage.shows("greeting", "hello again")?;
    Ok(())
}

fn watch_cut(stage: &mut Stage) -> Result<(), Flop> {
    stage.act("The watch is cut off: its requests are accepted and never answered");
    stage.proxy.set_for("(watch)", Mode::Hang);
    stage.put("db/pool", "50")?;
    stage.say("the heartbeat does not know of the watch; it comes round (every 3 s here)");
    stage.shows("db/pool", "50")?;
    let by =
        |m| stage.status().is_some_and(|s| s.sources.values().all(|s| s.confirmed_by == Some(m)));
    stage.until("it was the heartbeat that brought it", || by(Mechanism::Heartbeat))?;
    stage.proxy.clear();
    Ok(())
}

fn emptied(stage: &mut Stage) -> Result<(), Flop> {
    stage.act("Somebody empties the prefix");
    stage.delete_all()?;
    let held = || {
        let held = stage.status()?.sources.into_values().next()?.held?;
        Some(held.reason == Reason::Empty)
    };
    stage.until("the answer is held, and says so", || held() == Some(true))?;
    stage.check("the files are still there", stage.file("db/host").is_some())?;
    for (key, value) in
        [("db/host", "db2.internal"), ("db/pool", "50"), ("greeting", "hello again")]
    {
        stage.put(key, value)?;
    }
    stage.shows("db/host", "db2.internal")?;
    let free = || stage.status().is_some_and(|s| s.sources.values().all(|s| s.held.is_none()));
    stage.until("the hold is over", free)?;
    Ok(())
}

fn consul_killed(stage: &mut Stage) -> Result<(), Flop> {
    stage.act("Consul is killed");
    let saved = || {
        let source = stage.status()?.sources.into_values().next()?;
        Some(source.backup?.digest == source.digest?)
    };
    stage.until("the backup holds the latest content", || saved() == Some(true))?;
    stage.kill_consul();
    let down = || stage.status().is_some_and(|s| s.state == Health::Degraded);
    stage.until("seedcar notices and says degraded", down)?;
    stage.check(
        "the files are still there",
        stage.file("db/host").as_deref() == Some("db2.internal"),
    )?;
    Ok(())
}

fn restart_from_backup(stage: &mut Stage) -> Result<(), Flop> {
    stage.act("The pod is restarted while Consul is dead: its memory is empty");
    stage.crash();
    stage.wipe_volume()?;
    let seeded = stage.init(&[])?;
    stage.check("seedcar init exits 0", seeded)?;
    let origin = stage.status_file().map(|s| s.origin);
    stage.check("it was seeded from the backup, and says so", origin == Some(Origin::Backup))?;
    stage.shows("db/host", "db2.internal")?;
    stage.start(&RUN)?;
    Ok(())
}

fn recovery(stage: &mut Stage) -> Result<(), Flop> {
    stage.act("Consul comes back");
    stage.start_consul()?;
    stage.put("greeting", "good to see you")?;
    stage.shows("greeting", "good to see you")?;
    stage.until("everything is fresh again, without a restart", || {
        stage.status().is_some_and(|s| {
            s.state == Health::Fresh && s.sources.values().all(|s| s.origin == Origin::Consul)
        })
    })?;
    Ok(())
}
