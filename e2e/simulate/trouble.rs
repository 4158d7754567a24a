//! What goes wrong, for how long, and how it is put right.

use std::time::Duration;

use seedcar::demo::kv::{Kv, Put};

use super::consul::{FREEZE, Lie, Mood, Net, PREFIX, Rights, WAIT};
use super::pod::Wake;
use super::world::{Event, World, name};

/// One turn for the worse or the better.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The network is so; open connections are cut, or forgotten.
    Net(Net),
    /// Every open connection is cut.
    Cut,
    /// The server answers so.
    Mood(Mood),
    /// It lies so.
    Lie(Lie),
    /// The token may see so much.
    Rights(Rights),
    /// The server stops in good order: every held query returns at once.
    Stop,
    /// A snapshot is taken.
    Remember,
    /// An old snapshot is restored.
    Restore,
    /// The server loses its data.
    Wipe,
    /// Most keys are deleted at once.
    Shrink,
    /// All keys are.
    Empty,
    /// Many keys are there again.
    Refill,
    /// The volume is full, or not.
    Full(bool),
    /// Whoever validates does not answer for some contents, or does.
    Refuse(bool),
    /// The service that is told of changes does not answer, or does.
    Deaf(bool),
    /// Writing to the volume hangs for so long.
    Hang(Duration),
    /// The backup volume fails, or not.
    BackupFails(bool),
    /// The process dies.
    Crash,
    /// The pod is replaced by another.
    Replace,
    /// A process is started, if none runs.
    Start,
    /// A person accepts what is held.
    Accept,
    /// A person freezes the fleet by its key, or thaws it.
    Freeze(bool),
    /// Or one volume.
    FreezeHere(bool),
}

impl Trouble {
    /// Draws one, with how long it lasts and what ends it.
    pub fn draw(dice: &mut fastrand::Rng) -> (Self, Duration, Option<Self>) {
        let seconds = |s: f64| Duration::from_secs_f64(s);
        let short = seconds(dice.f64() * 20.0);
        let long = seconds(1.0 + dice.f64() * dice.f64() * 400.0);
        // People go home over it.
        let longest = seconds(30.0 + dice.f64() * 2_000.0);
        match dice.u8(0..32) {
            0 | 1 => (Self::Net(Net::Refused), long, Some(Self::Net(Net::Up))),
            2 | 3 => (Self::Net(Net::Silent), long, Some(Self::Net(Net::Up))),
            4 => (Self::Cut, short, None),
            5 => (Self::Mood(Mood::Leaderless), long, Some(Self::Mood(Mood::Well))),
            6 => {
                let told = dice.bool().then(|| seconds(1.0 + dice.f64() * 8.0));
                (Self::Mood(Mood::Busy(told)), short, Some(Self::Mood(Mood::Well)))
            }
            7 => (Self::Mood(Mood::Garbled), short, Some(Self::Mood(Mood::Well))),
            8 => (Self::Mood(Mood::Refusing), short, Some(Self::Mood(Mood::Well))),
            9..=11 => {
                let lies = [Lie::Zero, Lie::Lower, Lie::Huge, Lie::Early, Lie::Lagging];
                let lie = lies[dice.usize(0..lies.len())];
                (Self::Lie(lie), long, Some(Self::Lie(Lie::None)))
            }
            12 | 13 => {
                let share = dice.u8(1..16);
                let all = [Rights::None, Rights::Revoked, Rights::Some(share, dice.bool())];
                let rights = all[dice.usize(0..all.len())];
                (Self::Rights(rights), long, Some(Self::Rights(Rights::All)))
            }
            14 => (Self::Stop, short, Some(Self::Net(Net::Up))),
            15 => (Self::Remember, short, Some(Self::Restore)),
            16 => (Self::Restore, short, None),
            17 => (Self::Wipe, short, Some(Self::Refill)),
            18 => (Self::Shrink, long, dice.bool().then_some(Self::Refill)),
            19 => (Self::Empty, long, Some(Self::Refill)),
            20 => (Self::Full(true), long, Some(Self::Full(false))),
            21 => (Self::Hang(long), long, None),
            22 => (Self::BackupFails(true), long, Some(Self::BackupFails(false))),
            23 => (Self::Crash, short, Some(Self::Start)),
            25 | 26 => (Self::Refuse(true), long, Some(Self::Refuse(false))),
            28 | 29 => (Self::Freeze(true), longest, Some(Self::Freeze(false))),
            31 => (Self::Deaf(true), long, Some(Self::Deaf(false))),
            30 => (Self::FreezeHere(true), longest, Some(Self::FreezeHere(false))),
            24 => (Self::Replace, short, Some(Self::Start)),
            _ => (Self::Accept, short, None),
        }
    }

    /// Happens.
    pub fn strike(self, world: &mut World) {
        let World { env, pods } = world;
        match self {
            Self::Net(net) => {
                env.consul.net = net;
                if net != Net::Up {
                    let lost = env.consul.drop_all(env.now, net == Net::Silent);
                    env.deliver_all(lost);
                }
            }
            Self::Cut => {
                let lost = env.consul.drop_all(env.now, false);
                env.deliver_all(lost);
            }
            Self::Mood(mood) => env.consul.mood = mood,
            Self::Lie(lie) => env.lie(lie),
            Self::Rights(rights) => env.grant(rights),
            Self::Stop => {
                let returned = env.consul.abandon(env.now);
                env.deliver_all(returned);
                env.consul.net = Net::Refused;
            }
            Self::Remember => env.snapshots.push(env.consul.table().clone()),
            Self::Restore | Self::Wipe => {
                let old =
                    if matches!(self, Self::Wipe) { Some(Kv::new()) } else { env.snapshots.pop() };
                let Some(old) = old else { return };
                let returned = env.consul.abandon(env.now);
                env.deliver_all(returned);
                match self {
                    Self::Wipe => *env.consul.kv() = old,
                    _ => env.consul.kv().restore(&old),
                }
                env.changed();
            }
            Self::Shrink => {
                (0..40)
                    .filter(|key| key % 8 != 0)
                    .for_each(|key| env.consul.kv().delete(name(key)));
                env.changed();
            }
            Self::Empty => {
                env.consul.kv().delete_recurse(PREFIX);
                env.changed();
            }
            Self::Refill => {
                env.consul.remember();
                (0..30).for_each(|key| env.put(key));
                env.changed();
            }
            Self::Full(full) => pods.iter_mut().for_each(|pod| pod.volumes.full = full),
            Self::Refuse(refuse) => pods.iter_mut().for_each(|pod| pod.volumes.refuses = refuse),
            Self::Deaf(deaf) => pods.iter_mut().for_each(|pod| pod.volumes.deaf = deaf),
            Self::Hang(long) => {
                let until = env.now + long;
                pods.iter_mut().for_each(|pod| pod.volumes.hangs_until = until);
            }
            Self::BackupFails(fails) => {
                pods.iter_mut().for_each(|pod| pod.volumes.backup_fails = fails);
            }
            Self::Crash => pods.iter_mut().for_each(|pod| pod.crash()),
            Self::Replace => {
                for pod in pods.iter_mut() {
                    pod.replace();
                    env.oracle.replaced(pod.who().0);
                }
            }
            Self::Start => {
                for pod in pods.iter_mut().filter(|pod| !pod.is_running()) {
                    pod.start(env);
                }
            }
            Self::Accept => world.accept(),
            Self::Freeze(frozen) => {
                match frozen {
                    true => env.consul.kv().put(FREEZE, Put::default()),
                    false => env.consul.kv().delete(FREEZE),
                }
                env.changed();
            }
            Self::FreezeHere(frozen) => {
                pods.iter_mut().for_each(|pod| pod.volumes.frozen = frozen);
            }
        }
    }
}

impl World {
    /// A person accepts whatever is held, in every pod.
    pub fn accept(&mut self) {
        for pod in &self.pods {
            let (at, life) = pod.who();
            self.env.wake_at(self.env.now, at, life, Wake::Accept);
        }
    }

    /// Everything that was wrong is right again.
    pub fn heal(&mut self) {
        for trouble in [
            Trouble::Net(Net::Up),
            Trouble::Mood(Mood::Well),
            Trouble::Lie(Lie::None),
            Trouble::Rights(Rights::All),
            Trouble::Full(false),
            Trouble::Refuse(false),
            Trouble::Deaf(false),
            Trouble::Hang(Duration::ZERO),
            Trouble::BackupFails(false),
            Trouble::Freeze(false),
            Trouble::FreezeHere(false),
            Trouble::Start,
        ] {
            trouble.strike(self);
        }
    }

    /// Draws troubles for the next `span`.
    pub fn plan_trouble(&mut self, episodes: u32, span: Duration) {
        let (begun, end) = (self.env.now, self.env.now + span);
        for _ in 0..episodes {
            let begin = begun + span.mul_f64(self.env.dice.f64());
            let (mut trouble, lasts, cure) = Trouble::draw(&mut self.env.dice);
            let mut until = (begin + lasts).min(end);
            match &mut trouble {
                Trouble::Hang(long) => *long = (*long).min(end.since(begin)),
                // A query that is held goes on under its old rights, and the index does not tell of
                // new ones: that may take a whole wait more, and is no change of Consul's content.
                Trouble::Rights(_) => until = until.min(end - WAIT * 17 / 16),
                _ => {}
            }
            self.env.at(begin.min(until), Event::Trouble(trouble));
            if let Some(cure) = cure {
                self.env.at(until, Event::Trouble(cure));
            }
        }
    }
}
