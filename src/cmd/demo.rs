//! `seedcar demo`: the acts, on a scratch volume.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::demo::acts;
use crate::demo::stage::{Flop, Stage};
use crate::exit::Exit;
use crate::shutdown::Signals;
use crate::supervise::on_runtime;

/// Plays the acts on the embedded store, or on the Consul at `consul`. Exit 0 only if each act's
/// checks passed. With `keep` everything stays up afterwards until Ctrl-C.
pub fn run(keep: bool, consul: Option<&str>) -> Exit {
    let mut stage = match Stage::set(consul) {
        Ok(stage) => stage,
        Err(flop) => return failed(&flop),
    };
    notice_signals(&stage);
    let played = acts::play(&mut stage).and_then(|()| if keep { stay(&stage) } else { Ok(()) });
    let exit = match played {
        Ok(()) => {
            stage.act("That was all of it; each line was checked. --keep leaves it running");
            Exit::Ok
        }
        Err(Flop::Interrupted) => Exit::Ok,
        Err(flop) => {
            eprintln!("{}", stage.log());
            failed(&flop)
        }
    };
    stage.strike();
    exit
}

/// The play looks at the switch wherever it waits, and cleans up after itself.
fn notice_signals(stage: &Stage) {
    let interrupted = Arc::clone(&stage.interrupted);
    std::thread::spawn(move || {
        let came = on_runtime(async {
            Signals::catch()?.come().await;
            std::io::Result::Ok(())
        });
        // Where signals cannot be caught they end the program as they always did.
        if let Ok(Ok(())) = came {
            interrupted.store(true, Ordering::Relaxed);
        }
    });
}

fn stay(stage: &Stage) -> Result<(), Flop> {
    let (consul, prefix) = (stage.consul(), &stage.prefix);
    stage.act("It stays up until Ctrl-C. In another terminal:");
    stage.say(&format!("curl -X PUT -d 'your text' http://{consul}/v1/kv/{prefix}greeting"));
    stage.say(&format!("cat {}/live/greeting", stage.volume().display()));
    stage.say(&format!("find {}/live/..data/ -type f", stage.volume().display()));
    stage.say(&format!("curl {}/status", stage.url()));
    stage.say(&format!("curl {}/metrics", stage.url()));
    stage.say(&format!("ls {}", stage.backup().display()));
    stage.wait_for_interrupt()
}

fn failed(flop: &Flop) -> Exit {
    eprintln!("seedcar demo: {flop}");
    Exit::Internal
}
