//! What templates make of a key's name, and which naming of ours is the same.

use super::mirror::field_of;
use super::{Layout, Remark};
use crate::model::output::Format;
use crate::moving::note::Weight;
use crate::moving::template::Expr;

/// What is done to a name, in order of the call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Name {
    /// What each `/` becomes.
    joined: Option<String>,
    /// Other characters that become `_`, as names of variables need it.
    is_cleaned: bool,
    case: Option<&'static str>,
}

// === impl Name ===

impl Name {
    /// Of `.Key`, perhaps through `replaceAll`, `toUpper` and `toLower`.
    pub fn read(expr: &Expr, element: Option<&str>) -> Option<Self> {
        if field_of(expr, element) == Some("Key") {
            return Some(Self::default());
        }
        let Expr::Call(function, arguments) = expr else { return None };
        let mut name = Self::read(arguments.last()?, element)?;
        let texts: Option<Vec<&str>> = arguments[..arguments.len() - 1]
            .iter()
            .map(|a| if let Expr::Text(text) = a { Some(text.as_str()) } else { None })
            .collect();
        match (function.as_str(), texts?.as_slice()) {
            ("toUpper", []) => name.case = Some("upper"),
            ("toLower", []) => name.case = Some("lower"),
            ("replaceAll", ["/", to]) if name.joined.is_none() && !to.is_empty() => {
                name.joined = Some((*to).to_owned());
            }
            ("replaceAll", ["-" | ".", "_"])
                if !matches!(name.joined.as_deref(), Some("-" | ".")) =>
            {
                name.is_cleaned = true;
            }
            _ => return None,
        }
        Some(name)
    }

    /// The layout of a format that has these names; what is different is added to `remarks`.
    pub fn layout(
        &self,
        format: Format,
        one_level: bool,
        line: usize,
        remarks: &mut Vec<Remark>,
    ) -> Option<Layout> {
        match format {
            Format::Env | Format::Shell => {
                let look = self.as_variables(one_level);
                remarks.extend(look.map(|text| Remark::new(line, Weight::Look, text)));
                (self.joined.as_deref().unwrap_or("_") == "_" && self.case != Some("lower"))
                    .then(|| Layout::flat(format))
            }
            _ if self.is_cleaned || !self.can_be_joined() => None,
            Format::Properties => {
                if self.joined.is_none() && !one_level {
                    let text = "names have a . where keys have a /, as in db.host for db/host";
                    remarks.push(Remark::new(line, Weight::Differs, text));
                }
                let separator = self.joined.clone().filter(|joined| joined != ".");
                Some(Layout { separator, case: self.case, ..Layout::flat(format) })
            }
            _ => {
                let separator = self.joined.clone();
                Some(Layout { separator, case: self.case, ..Layout::flat(format) })
            }
        }
    }

    /// A separator of ours stands in names of files, too.
    fn can_be_joined(&self) -> bool {
        let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '\\');
        self.joined.as_ref().is_none_or(|joined| joined.len() <= 8 && joined.chars().all(fits))
    }

    /// Names of variables are capitals, digits and `_`, whatever keys are.
    fn as_variables(&self, one_level: bool) -> Option<&'static str> {
        match (self.case, one_level || self.joined.is_some()) {
            (Some(_), true) if self.is_cleaned => None,
            (Some(_), true) => {
                Some("names have _ for what no variable's name can have, as - and .")
            }
            (None, true) => Some(
                "names are written in capitals, with _ for what no variable's name can have: the same where \
                 the keys in Consul are such names",
            ),
            (_, false) => Some(
                "names are written in capitals, with _ for each / and for what no variable's name can have: \
                 the same where the keys in Consul are such names",
            ),
        }
    }
}
