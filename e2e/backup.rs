//! Backups: damage, sharing, power cuts.

mod damage;
mod fallback;
mod served;
mod sharing;
mod shelf;

use crate::ledger::Proof;

/// What this part proves.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P4",
        test: "backup::damage::every_flipped_bit_of_the_newest",
        shows: "whichever bit of the newest backup is flipped: it is named, the one before it is used",
        mutants: &[
            "backup-checksum-skipped",
            "backup-checksum-of-body-alone",
            "backup-claim-believed",
        ],
    },
    Proof {
        promise: "P4",
        test: "backup::damage::every_flipped_header_bit_of_an_older_one",
        shows: "whatever a damaged older backup claims, the newest is used",
        mutants: &[],
    },
    Proof {
        promise: "P4",
        test: "backup::damage::random_bits_of_a_large_body",
        shows: "the same for random bits of a body of 100 kB",
        mutants: &[],
    },
    Proof {
        promise: "P4",
        test: "backup::damage::every_truncation",
        shows: "cut, or zeros from there on, at every length",
        mutants: &[],
    },
    Proof {
        promise: "P4",
        test: "backup::damage::other_bytes",
        shows: "empty, longer, twice, half of another, another format version, another file",
        mutants: &[],
    },
    Proof {
        promise: "P4",
        test: "backup::damage::any_of_the_three",
        shows: "any subset of three backups damaged: the newest that is whole, or every reason",
        mutants: &[],
    },
    Proof {
        promise: "P4",
        test: "backup::damage::exchanged_contents_and_names",
        shows: "contents exchanged between files, also with another cluster's",
        mutants: &[],
    },
    Proof {
        promise: "P4",
        test: "backup::damage::things_that_are_no_files",
        shows: "FIFO, links, directory, devices, socket, sparse files: no wait, no way out",
        mutants: &["backup-opens-anything", "backup-follows-links"],
    },
    Proof {
        promise: "P4",
        test: "backup::served::init_takes_the_one_before",
        shows: "all that before the real init without a Consul: seeded, said, little memory",
        mutants: &[],
    },
    Proof {
        promise: "P4",
        test: "backup::served::init_ends_with_a_reason",
        shows: "every backup damaged ends init with 65, only foreign ones with 69",
        mutants: &[],
    },
    Proof {
        promise: "P4",
        test: "backup::served::init_takes_any_limits",
        shows: "limits up to the largest number refuse no good backup",
        mutants: &["backup-limits-overflow"],
    },
    Proof {
        promise: "P14",
        test: "backup::sharing::eight_processes",
        shows: "eight writers of two clusters with skewed clocks, killed at random",
        mutants: &["backup-shared-temporary-name"],
    },
    Proof {
        promise: "P14",
        test: "backup::fallback::a_fallback_never_writes",
        shows: "whoever serves from a backup leaves the backup volume alone",
        mutants: &["backup-age-laundered"],
    },
    Proof {
        promise: "P14",
        test: "backup::fallback::what_was_overtaken_is_not_written_again",
        shows: "also when another replica's newer backup comes before it has looked for its own",
        mutants: &["backup-of-a-backup"],
    },
    Proof {
        promise: "P14",
        test: "store::tests::secrets::replicas_that_write_the_same_leave_one_file",
        shows: "twenty replicas that keep a backup in Secrets: one writes, the others find it",
        mutants: &["secrets-written-blindly"],
    },
    Proof {
        promise: "P14",
        test: "store::tests::secrets::writers_that_die_anywhere_never_lose_the_newest_good_one",
        shows: "eight writers of two clusters on the same Secrets, killed at random",
        mutants: &[],
    },
    Proof {
        promise: "P14",
        test: "store::tests::secrets::where_room_is_short_the_oldest_goes_and_the_newest_never",
        shows: "Secrets that are full: the oldest makes way, the newest never",
        mutants: &["secrets-newest-makes-way"],
    },
    Proof {
        promise: "P14",
        test: "store::tests::secrets::several_sources_never_starve_each_other",
        shows: "several sources in full Secrets: history of any makes way, the newest of none",
        mutants: &["secrets-neighbours-starve"],
    },
    Proof {
        promise: "P14",
        test: "store::tests::secrets::replicas_that_make_room_at_once_remove_what_one_would",
        shows: "another replica that is faster at any moment of making room",
        mutants: &[],
    },
    Proof {
        promise: "P4",
        test: "store::tests::secrets::a_secret_that_is_not_there_or_not_for_us_is_done_without",
        shows: "one of several Secrets missing or forbidden: read and written without it, and said",
        mutants: &["secrets-one-missing-is-all-missing"],
    },
    Proof {
        promise: "P4",
        test: "store::tests::secrets::a_secret_that_takes_no_change_is_done_without",
        shows: "one of several Secrets may be read and not changed: written to the others, and said",
        mutants: &["secrets-one-fixed-is-all-fixed"],
    },
    Proof {
        promise: "P14",
        test: "store::tests::secrets::a_backup_that_cannot_be_read_back_stays_for_the_next_try",
        shows: "an API server that falls silent after a write: what another may count on stays",
        mutants: &["secrets-lost-answer-is-taken-back"],
    },
    Proof {
        promise: "P5",
        test: "store::tests::secrets::a_kill_at_any_step_leaves_the_old_or_the_new_state_and_the_next_run_works",
        shows: "a writer to Secrets killed before and after each answer of the API",
        mutants: &[],
    },
    Proof {
        promise: "P5",
        test: "store::tests::secrets::what_one_secret_does_not_take_lies_in_parts",
        shows: "a file in parts is there once all of them are, and what is left of one goes",
        mutants: &["secrets-half-a-file-counts"],
    },
    Proof {
        promise: "P5",
        test: "store::tests::secrets::a_file_whose_second_part_is_refused_leaves_nothing",
        shows: "a first part whose second is refused is taken back",
        mutants: &["secrets-first-part-left"],
    },
    Proof {
        promise: "P5",
        test: "store::tests::secrets::what_a_crashing_writer_leaves_never_blocks_the_next_for_good",
        shows: "what dead writers left in full Secrets makes way once it has been at rest",
        mutants: &["secrets-litter-never-makes-way"],
    },
    Proof {
        promise: "P4",
        test: "store::tests::secrets::damage_is_refused_and_the_older_one_used",
        shows: "a packed backup that was changed or cut in its Secret",
        mutants: &[],
    },
    Proof {
        promise: "P6",
        test: "store::tests::power::one_writer",
        shows: "every state that a power cut may leave of ten writes with pruning, read and written to",
        mutants: &["backup-directory-not-synced", "backup-file-not-synced"],
    },
    Proof {
        promise: "P6",
        test: "store::tests::power::another_writer_in_between",
        shows: "the same where another writer runs, or dies, at each step in between",
        mutants: &[],
    },
    Proof {
        promise: "P6",
        test: "store::tests::power::three_writers_at_once",
        shows: "the same where three more have renamed and not synced",
        mutants: &["backup-pruned-before-synced"],
    },
    Proof {
        promise: "P6",
        test: "store::tests::write::a_file_that_comes_back_wrong_is_removed_and_nothing_is_pruned",
        shows: "nothing is pruned for a backup that does not come back from the disk",
        mutants: &["backup-pruned-before-verified"],
    },
];
