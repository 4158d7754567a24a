//! What an output calls its keys.

use std::borrow::Cow;

use super::key::{Unsafe, check};

/// How the path of a key becomes that in the output: first `strip`, then `separator`, then `case`, then
/// `below`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// The directory that is cut off the beginning, where it is there.
    pub strip: Option<Box<str>>,
    /// What stands between the levels instead of `/`: then there is one level.
    pub separator: Option<Box<str>>,
    /// What letters become.
    pub case: Option<Case>,
    /// The directory that all of it lies below.
    pub below: Option<Box<str>>,
}

/// What letters become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Small.
    Lower,
    /// Capital.
    Upper,
}

// === impl Naming ===

impl Naming {
    /// True where each key keeps its path.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// The path of a key's file. A path that is no longer one that a file may have is an error.
    pub fn file<'p>(&self, path: &'p str) -> Result<Cow<'p, str>, Unsafe> {
        let mut path = Cow::Borrowed(self.stripped(path));
        if let Some(separator) = &self.separator {
            path = path.replace('/', separator).into();
        }
        self.finished(path)
    }

    /// The path of a directory. None where the output has no levels, or where it is cut off.
    pub fn directory<'p>(&self, path: &'p str) -> Option<Result<Cow<'p, str>, Unsafe>> {
        let is_cut_off = self.strip.as_deref() == Some(path);
        let is_there = self.separator.is_none() && !is_cut_off;
        is_there.then(|| self.finished(self.stripped(path).into()))
    }

    fn stripped<'p>(&self, path: &'p str) -> &'p str {
        let rest = self.strip.as_ref().and_then(|strip| path.strip_prefix(&**strip));
        rest.and_then(|rest| rest.strip_prefix('/')).unwrap_or(path)
    }

    fn finished<'p>(&self, mut path: Cow<'p, str>) -> Result<Cow<'p, str>, Unsafe> {
        match self.case {
            Some(Case::Lower) => path = path.to_lowercase().into(),
            Some(Case::Upper) => path = path.to_uppercase().into(),
            None => {}
        }
        if let Some(below) = &self.below {
            path = format!("{below}/{path}").into();
        }
        // As a key it was safe; cut and joined it need not be: `a/..b` without its `a`.
        check(&path).map_or(Ok(path), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cut_joined_and_cased_in_that_order() {
        let naming = Naming {
            strip: Some("db".into()),
            separator: Some("_".into()),
            case: Some(Case::Upper),
            below: Some("etc".into()),
        };
        assert_eq!(naming.file("db/pool/max").as_deref(), Ok("etc/POOL_MAX"));
        assert_eq!(naming.file("dbx/a").as_deref(), Ok("etc/DBX_A"));
        assert_eq!(naming.file("db").as_deref(), Ok("etc/DB"));
        assert_eq!(naming.directory("db/pool"), None);
        let naming = Naming { strip: Some("a/b".into()), ..Naming::default() };
        assert_eq!(naming.directory("a/b"), None);
        assert_eq!(naming.directory("a/b/c"), Some(Ok("c".into())));
        assert_eq!(naming.directory("a"), Some(Ok("a".into())));
    }

    #[test]
    fn what_is_no_safe_path_any_more_is_refused() {
        let naming = Naming { strip: Some("a".into()), ..Naming::default() };
        assert_eq!(naming.file("a/..data"), Err(Unsafe::Reserved));
        let naming = Naming { separator: Some(".".into()), ..Naming::default() };
        let long = ["x".repeat(200), "y".repeat(200)].join("/");
        assert_eq!(naming.file(&long), Err(Unsafe::TooLong));
        let naming = Naming { case: Some(Case::Upper), ..Naming::default() };
        assert_eq!(naming.file(&"ß".repeat(127)).map(|p| p.len()), Ok(254));
    }
}
