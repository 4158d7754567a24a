//! "Did you mean": the nearest of a few names.

/// The candidate nearest to `word`, if any is near enough to be a slip: one edit, and one more for
/// each four letters. Two letters swapped are two edits.
pub(super) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let measured = candidates.into_iter().map(|c| (distance(word, c), c));
    let (edits, best) = measured.min_by_key(|(edits, _)| *edits)?;
    (edits <= 1 + word.len().max(best.len()) / 4).then_some(best)
}

/// [`nearest`] as a hint.
pub(super) fn did_you_mean<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    nearest(word, candidates).map(|best| format!("did you mean {best}?"))
}

/// Insertions, deletions and replacements of bytes between two names, case aside (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(!x.eq_ignore_ascii_case(&y));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_guessed_and_strangers_are_not() {
        let names = ["wait", "heartbeat", "max-keys", "max-bytes"];
        for (typed, meant) in [
            ("wiat", Some("wait")),
            ("wai", Some("wait")),
            ("Wait", Some("wait")),
            ("hearbeat", Some("heartbeat")),
            ("max-key", Some("max-keys")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
        assert_eq!(nearest("wait", []), None);
    }
}
