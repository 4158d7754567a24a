//! The kinds of readers that applications are.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use seedcar::publisher::manifest::Manifest;

use super::file::{self, LARGEST, NAMES};

/// What a reader has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Files read.
    pub reads: u64,
    /// Files of a length or content that no generation ever had.
    pub torn: u64,
    /// Sets of files that were of two generations.
    pub mixed: u64,
    /// Sets that were older than an earlier one.
    pub back: u64,
    /// Generations that ended before their reader was done, after which it opens again.
    pub gone: u64,
    /// Such generations that were still young: neither five seconds old nor followed by three.
    pub young: u64,
}

/// A generation is kept this long. The reader's clock starts before the generation is superseded, so
/// that it can only err to our disadvantage.
const KEEP: std::time::Duration = std::time::Duration::from_secs(5);
/// Or until there are so many newer ones.
const KEEP_COUNT: u64 = 3;

/// A reader of one volume, and the newest generation it has seen.
pub struct Reader {
    live: PathBuf,
    newest: u64,
    pub counts: Counts,
}

// === impl Counts ===

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.reads += more.reads;
        self.torn += more.torn;
        self.mixed += more.mixed;
        self.back += more.back;
        self.gone += more.gone;
        self.young += more.young;
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(each: I) -> Self {
        each.fold(Self::default(), |mut sum, counts| {
            sum += counts;
            sum
        })
    }
}

// === impl Reader ===

impl Reader {
    pub fn new(volume: &Path) -> Self {
        Self { live: volume.join("live"), newest: 0, counts: Counts::default() }
    }

    /// Each file by its path: the whole set may be mixed, which is why the README says to open the
    /// directory; a file may not be torn.
    pub fn by_path(&mut self) {
        let mut numbers = [None; NAMES.len()];
        for (number, name) in numbers.iter_mut().zip(NAMES) {
            match openat(CWD, self.live.join(name), READ, Mode::empty()) {
                Ok(file) => *number = self.whole(&file),
                Err(_) => self.counts.gone += 1,
            }
        }
        self.compare(&numbers, false);
    }

    /// All files through one opened directory.
    pub fn by_handle(&mut self) {
        let Ok(directory) = self.open() else {
            return;
        };
        self.read_set(&directory);
    }

    /// The same, over and over until the generation has ended.
    pub fn by_handle_to_its_end(&mut self) {
        let opened = Instant::now();
        let Ok(directory) = self.open() else {
            return;
        };
        while let Some(number) = self.read_set(&directory) {
            if opened.elapsed() > KEEP + KEEP {
                // Nobody has published anything since.
                return;
            }
            self.newest = self.newest.max(number);
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let young = opened.elapsed() < KEEP
            && self.current().is_some_and(|now| now < self.newest + KEEP_COUNT);
        self.counts.young += u64::from(young);
    }

    /// By path, and believed only if the manifest names the same generation before and after.
    pub fn by_manifest(&mut self) {
        let before = self.generation();
        let mut numbers = [None; NAMES.len()];
        for (number, name) in numbers.iter_mut().zip(NAMES) {
            if let Ok(file) = openat(CWD, self.live.join(name), READ, Mode::empty()) {
                *number = self.whole(&file);
            }
        }
        if before.is_some() && before == self.generation() {
            self.compare(&numbers, true);
        } else {
            self.counts.gone += 1;
        }
    }

    /// Maps a file and looks at it again and again, also after its generation has ended.
    pub fn by_mapping(&mut self) {
        let Ok(directory) = self.open() else {
            return;
        };
        let Ok(file) = openat(&directory, NAMES[0], READ, Mode::empty()) else {
            self.counts.gone += 1;
            return;
        };
        // SAFETY: what is published is never written to again; this test is here to show it.
        let map = unsafe { memmap2::Mmap::map(&File::from(file)) }.expect("a mapping");
        let number = file::number(&map);
        for _ in 0..20 {
            self.counts.reads += 1;
            self.counts.torn += u64::from(number.is_none() || file::number(&map) != number);
            std::thread::yield_now();
        }
    }

    fn open(&self) -> rustix::io::Result<OwnedFd> {
        openat(CWD, self.live.join("..data/"), READ | OFlags::DIRECTORY, Mode::empty())
    }

    /// The number of the set, where all of it was there.
    fn read_set(&mut self, directory: &OwnedFd) -> Option<u64> {
        let mut numbers = [None; NAMES.len()];
        for (number, name) in numbers.iter_mut().zip(NAMES) {
            match openat(directory, name, READ, Mode::empty()) {
                Ok(file) => *number = self.whole(&file),
                Err(Errno::NOENT) => {
                    self.counts.gone += 1;
                    self.compare(&numbers, true);
                    return None;
                }
                Err(error) => panic!("{name}: {error}"),
            }
        }
        self.compare(&numbers, true);
        numbers[0]
    }

    fn whole(&mut self, file: &OwnedFd) -> Option<u64> {
        let mut bytes = [0; LARGEST + 1];
        let length = rustix::io::read(file, &mut bytes).expect("a read");
        self.counts.reads += 1;
        let number = file::number(&bytes[..length]);
        self.counts.torn += u64::from(number.is_none());
        number
    }

    fn compare(&mut self, numbers: &[Option<u64>], one_set: bool) {
        let mut known = numbers.iter().flatten();
        let Some(first) = known.next() else {
            return;
        };
        self.counts.mixed += u64::from(known.any(|number| number != first));
        if one_set {
            self.counts.back += u64::from(*first < self.newest);
            self.newest = self.newest.max(*first);
        }
    }

    fn current(&self) -> Option<u64> {
        file::number(&std::fs::read(self.live.join("..data").join(NAMES[0])).ok()?)
    }

    fn generation(&self) -> Option<String> {
        let text = std::fs::read(self.live.join("..data/..manifest.json")).ok()?;
        Some(Manifest::parse(&text)?.generation)
    }
}

const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);
