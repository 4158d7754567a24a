//! Which backups stay. Pure: ages are differences between the times that Consul confirmed, so no
//! clock of ours and no mtime can make a good backup look old.

use std::collections::HashSet;

use super::Sound;

/// How many different contents are kept whatever their age.
const CONTENTS: usize = 3;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// The names to keep among checked backups of one identity:
///
/// * the newest backup of each of the three newest contents,
/// * the newest one older than an hour, and the newest one older than a day,
/// * the oldest one of the last hour, and the oldest one between an hour and a day: those that grow
///   up to be the former two. Without them a change every ten minutes would never leave anything
///   older than half an hour,
/// * `written`, whatever its time says: it is what Consul answered last.
///
/// At most eight, at least one when there is one.
pub(super) fn keep<'a>(files: &'a [Sound], written: &str) -> HashSet<&'a str> {
    let mut newest_first: Vec<&Sound> = files.iter().collect();
    newest_first.sort_by(|a, b| b.rank().cmp(&a.rank()));
    let Some(newest) = newest_first.first().map(|f| f.header.confirmed) else {
        return HashSet::new();
    };
    let age = |file: &Sound| newest.duration_since(file.header.confirmed).as_secs();
    let aged = |from: i64, to: i64| {
        let within = newest_first.iter().copied();
        within.filter(move |f| (from..to).contains(&age(f)))
    };
    let mut contents = HashSet::new();
    let different = newest_first.iter().copied();
    let mut kept: Vec<&Sound> =
        different.filter(|f| contents.insert(f.header.digest)).take(CONTENTS).collect();
    kept.extend(aged(HOUR, i64::MAX).next());
    kept.extend(aged(DAY, i64::MAX).next());
    kept.extend(aged(0, HOUR).next_back());
    kept.extend(aged(HOUR, DAY).next_back());
    kept.extend(files.iter().find(|f| f.name == written));
    kept.into_iter().map(|f| f.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::{Digest, Snapshot};
    use crate::store::{Header, Identity};

    /// A backup confirmed this many seconds after a day in 2026, with a content of this number.
    fn sound(second: i64, content: u8) -> Sound {
        let confirmed = jiff::Timestamp::from_second(1_790_000_000 + second).unwrap();
        let empty = Snapshot::empty(1);
        let mut header = Header::new(&Identity::of_prefix("a/"), &empty, confirmed, "");
        header.digest = Digest::from_bytes([content; 32]);
        Sound::new(second.to_string(), header)
    }

    fn kept(files: &[(i64, u8)], written: i64) -> Vec<i64> {
        let files: Vec<_> = files.iter().map(|&(s, c)| sound(s, c)).collect();
        let kept = keep(&files, &written.to_string());
        let mut kept: Vec<i64> = kept.iter().map(|n| n.parse().unwrap()).collect();
        kept.sort();
        kept
    }

    #[test]
    fn the_right_ones_stay() {
        type Case = (&'static str, &'static [(i64, u8)], i64, &'static [i64]);
        const H: i64 = HOUR;
        let cases: &[Case] = &[
            ("nothing", &[], 0, &[]),
            ("one", &[(5, 1)], 5, &[5]),
            (
                "three contents and the oldest of the hour",
                &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)],
                4,
                &[0, 2, 3, 4],
            ),
            ("of one content the newest", &[(0, 1), (1, 2), (2, 1), (3, 1)], 3, &[0, 1, 3]),
            (
                "the newest older than an hour",
                &[(0, 1), (10, 2), (20, 3), (20 + H, 4), (21 + H, 5), (22 + H, 6)],
                22 + H,
                &[0, 20, 20 + H, 21 + H, 22 + H],
            ),
            (
                "the newest older than a day",
                &[(0, 1), (9, 2), (10, 3), (24 * H + 10, 4), (24 * H + 11, 5), (24 * H + 12, 6)],
                24 * H + 12,
                &[10, 24 * H + 10, 24 * H + 11, 24 * H + 12],
            ),
            (
                "an hour is an hour, a second less is not",
                &[(0, 1), (1, 2), (H, 3), (H, 4), (H, 5)],
                H,
                &[0, 1, H],
            ),
            (
                "what was written last, although its time is the oldest of all",
                &[(0, 1), (1, 2), (H - 3, 3), (H - 2, 4), (H - 1, 5)],
                1,
                &[0, 1, H - 3, H - 2, H - 1],
            ),
        ];
        for (what, files, written, expected) in cases {
            assert_eq!(&kept(files, *written), expected, "{what}");
        }
    }

    #[test]
    fn steady_change_leaves_an_hour_old_and_a_day_old_one_and_few_in_all() {
        for step in [90, 600, 1500, 4000] {
            let mut files: Vec<Sound> = Vec::new();
            for (n, now) in (0..5 * DAY).step_by(step as usize).enumerate() {
                files.push(sound(now, n as u8));
                let names: HashSet<String> =
                    keep(&files, &now.to_string()).into_iter().map(str::to_owned).collect();
                files.retain(|f| names.contains(&f.name));
                let ages: Vec<i64> =
                    files.iter().map(|f| now - f.name.parse::<i64>().unwrap()).collect();
                let some = |from, to| ages.iter().any(|age| (from..=to).contains(age));
                assert!(files.len() <= 8, "{ages:?}");
                assert!(now < HOUR + step || some(HOUR, 2 * HOUR + 2 * step), "{ages:?}");
                assert!(now < DAY + step || some(DAY, 2 * DAY + 2 * step), "{ages:?}");
            }
        }
    }
}
