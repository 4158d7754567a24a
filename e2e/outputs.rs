//! Outputs beside the tree: what other languages read of them, and that all of them are one generation.

mod atomic;
mod chosen;
mod diff;
mod foreign;
mod hostile;
mod optional;
mod plain;
mod published;

use crate::ledger::Proof;

/// What the promises of a generation rest on where it is more than a tree.
pub const PROOFS: &[Proof] = &[
    Proof {
        promise: "P1",
        test: "outputs::published::one_transaction_is_never_seen_mixed_across_the_tree_and_the_files",
        shows: "three keys of one transaction, in the tree, a JSON and an .env file of one generation",
        mutants: &[],
    },
    Proof {
        promise: "P1",
        test: "outputs::plain::a_walk_finds_the_keys_and_nothing_else_and_they_follow_consul",
        shows: "the plain layout: directories and files alone, also where one becomes the other",
        mutants: &["plain-old-files-stay"],
    },
    Proof {
        promise: "P1",
        test: "outputs::plain::the_layout_changes_at_a_restart_and_the_application_reads_on",
        shows: "a restart with the other layout, with and without Consul: no file is missing for a moment",
        mutants: &["plain-directory-before-its-files"],
    },
    Proof {
        promise: "P12",
        test: "outputs::plain::files_of_somebody_else_are_left_and_named",
        shows: "layout plain on a volume whose live/ has other files: refused, and nothing is removed",
        mutants: &["plain-takes-strangers-files"],
    },
    Proof {
        promise: "P2",
        test: "outputs::published::layers_are_laid_over_each_other_as_the_output_says_and_not_as_the_sources_stand",
        shows: "each source is laid out under its own prefix, in the order that each output says",
        mutants: &["outputs-layers-swap-prefixes"],
    },
    Proof {
        promise: "P2",
        test: "outputs::foreign::python_and_node_read_dotenv_alike",
        shows: "10,000 hostile values, read alike by three libraries or left out",
        mutants: &["outputs-dotenv-carriage-return"],
    },
    Proof {
        promise: "P2",
        test: "outputs::foreign::java_reads_properties",
        shows: "10,000 hostile values and 1,000 names in Java's own properties",
        mutants: &["outputs-properties-lose-spaces"],
    },
    Proof {
        promise: "P2",
        test: "outputs::foreign::python_reads_yaml_as_1_1",
        shows: "10,000 hostile values and 1,000 names in YAML, read by a parser of 1.1",
        mutants: &[],
    },
    Proof {
        promise: "P7",
        test: "outputs::published::a_source_that_was_adopted_and_is_held_stops_no_other",
        shows: "after a restart a change of one source while another's answer is held",
        mutants: &["keeper-leaves-adopted-unknown"],
    },
    Proof {
        promise: "P9",
        test: "outputs::optional::an_empty_one_delays_nothing_and_comes_when_it_is_there",
        shows: "a source that is not required and is not there; once it is, it is guarded as any other",
        mutants: &["seed-waits-for-the-optional"],
    },
    Proof {
        promise: "P2",
        test: "outputs::atomic::a_transaction_over_three_prefixes_is_never_seen_in_parts",
        shows: "1,500 transactions over three sources that are read together, in a tree and a JSON file",
        mutants: &["atomic-each-by-itself"],
    },
    Proof {
        promise: "P2",
        test: "outputs::atomic::what_is_held_of_one_keeps_back_the_others_and_comes_with_them",
        shows: "one part of a transaction is held; nothing of it is seen until a person accepts",
        mutants: &["atomic-held-part-left-out"],
    },
    Proof {
        promise: "P3",
        test: "outputs::atomic::a_token_narrowed_on_one_of_them_holds_all",
        shows: "a token loses a key of one part, or all of them, before a change of the others: no file moves until the right is back",
        mutants: &["atomic-held-part-left-out"],
    },
    Proof {
        promise: "P9",
        test: "outputs::atomic::they_start_from_backups_and_go_on",
        shows: "a new pod gets all three from their backups while Consul is down, and the next transaction after",
        mutants: &[],
    },
    Proof {
        promise: "P2",
        test: "publisher::pending::tests::of_what_belongs_together_all_is_taken_or_none",
        shows: "one of two parts is older than what is published, or waits to be validated",
        mutants: &["atomic-part-out-of-date"],
    },
    Proof {
        promise: "P2",
        test: "watch::round::tests::news_whose_transaction_failed_are_read_again",
        shows: "the doorbell says that nothing is new since an answer that could not be weighed",
        mutants: &["atomic-failed-and-forgotten"],
    },
    Proof {
        promise: "P12",
        test: "model::plan::tests::keys_that_come_to_one_path_are_told_apart_by_their_order_and_by_layers",
        shows: "paths that an output cuts, joins or writes in another case",
        mutants: &["outputs-two-keys-one-file"],
    },
    Proof {
        promise: "P2",
        test: "outputs::chosen::keys_are_chosen_renamed_and_decoded_and_files_have_their_modes",
        shows: "patterns, names, decoding and modes on a real Consul; a mode that is changed is put right",
        mutants: &["outputs-modes-left-unchecked"],
    },
    Proof {
        promise: "P10",
        test: "outputs::chosen::a_value_that_unpacks_to_more_than_is_allowed_leaves_what_is_there",
        shows: "100 MiB packed into one value are not unpacked, and nothing is lost",
        mutants: &["outputs-unpack-without-limit"],
    },
    Proof {
        promise: "P10",
        test: "outputs::published::a_file_that_would_be_too_large_leaves_what_is_there_and_says_so",
        shows: "a value that takes six times its size in JSON is refused before it takes memory",
        mutants: &["outputs-of-any-size", "outputs-quotes-reckoned-as-one"],
    },
];
