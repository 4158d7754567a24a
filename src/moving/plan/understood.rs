//! A template's text, wherever it is, and what it means; what is said of it stands at the text's own line.

use super::ReadSource;
use crate::moving::meaning::{self, Meaning, Remark};
use crate::moving::note::{Note, Weight};
use crate::moving::settings::Template;
use crate::moving::template;

/// What actions stand between, where it is not the usual.
type Delimiters = (Option<String>, Option<String>);

/// A text, and where its lines are.
struct Placed {
    text: String,
    file: String,
    first_line: usize,
    /// All of it is on the first line: a text in quotes.
    is_one_line: bool,
}

/// What a template means, and what is to be said about it; or why it cannot be carried over.
pub(super) fn meaning(
    template: &Template,
    default: &Delimiters,
    source: ReadSource<'_>,
) -> Result<(Meaning, Vec<Note>), Note> {
    let placed = Placed::of(template, source)?;
    let [left, right] = delimiters(&template.delimiters, default);
    let nodes = template::parse(&placed.text, &left, &right).map_err(|mistake| {
        let text = format!("template: cannot be read: {}", mistake.what);
        placed.note(Remark { line: mistake.line, weight: Weight::ByHand, text })
    })?;
    let destination = template.destination.as_deref().unwrap_or_default();
    let reading = meaning::read(&nodes, destination).map_err(|remark| placed.note(remark))?;
    if destination.is_empty() && !matches!(reading.meaning, Meaning::Mirror { .. }) {
        return Err(by_hand(&template.at, "template: has no destination"));
    }
    let notes = reading.remarks.into_iter().map(|remark| placed.note(remark));
    Ok((reading.meaning, notes.collect()))
}

fn delimiters(own: &Delimiters, default: &Delimiters) -> [String; 2] {
    let one = |own: &Option<String>, default: &Option<String>| {
        own.clone().or_else(|| default.clone()).unwrap_or_default()
    };
    [one(&own.0, &default.0), one(&own.1, &default.1)]
}

fn by_hand(at: &(String, usize), text: &str) -> Note {
    Note { file: at.0.clone(), line: at.1, weight: Weight::ByHand, text: text.to_owned() }
}

// === impl Placed ===

impl Placed {
    fn of(template: &Template, source: ReadSource<'_>) -> Result<Self, Note> {
        if let Some(contents) = &template.contents {
            return Ok(Self {
                text: contents.text.clone(),
                file: template.at.0.clone(),
                first_line: contents.line,
                is_one_line: !contents.is_heredoc,
            });
        }
        let Some(given) = &template.source else {
            return Err(by_hand(&template.at, "template: has neither source nor contents"));
        };
        let text = source(&given.text).map_err(|why| {
            by_hand(&given.at, &format!("template.source: {} cannot be read: {why}", given.text))
        })?;
        Ok(Self { text, file: given.text.clone(), first_line: 1, is_one_line: false })
    }

    fn note(&self, remark: Remark) -> Note {
        let below = if self.is_one_line { 0 } else { remark.line - 1 };
        let line = self.first_line + below;
        Note { file: self.file.clone(), line, weight: remark.weight, text: remark.text }
    }
}
