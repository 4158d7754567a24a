//! What has changed in generations that nobody has been told of yet.

use std::collections::BTreeMap;

use super::selection::Glob;

/// So many paths are kept; of more it is only known that there are.
const MOST: usize = 1000;

/// Changed paths, each with the number of the publish that changed it last.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    publishes: u64,
    paths: BTreeMap<Box<str>, u64>,
    /// The publish of which it is not known what it changed.
    all: Option<u64>,
}

/// What there is to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The publish up to which it is.
    pub until: u64,
    /// The paths that matter, in order; none where it is not known which.
    pub paths: Option<Vec<String>>,
}

// === impl Changed ===

impl Changed {
    /// A publish: what it changed, or nothing where that is not known.
    pub fn note<'a>(&mut self, paths: Option<impl Iterator<Item = &'a str>>) {
        self.publishes += 1;
        match paths {
            Some(paths) => paths.for_each(|path| self.add(path)),
            None => self.all = Some(self.publishes),
        }
    }

    fn add(&mut self, path: &str) {
        if self.paths.len() < MOST || self.paths.contains_key(path) {
            self.paths.insert(path.into(), self.publishes);
        } else {
            self.all = Some(self.publishes);
        }
    }

    /// What there is to tell of paths that one of `only` matches, or of all where there are none.
    pub fn news(&self, only: &[Glob]) -> Option<News> {
        let matters = |path: &str| only.is_empty() || only.iter().any(|glob| glob.matches(path));
        let paths = self.paths.keys().filter(|path| matters(path));
        let paths: Vec<String> = paths.map(|path| path.to_string()).collect();
        let until = self.publishes;
        match self.all {
            Some(_) => Some(News { until, paths: None }),
            None => (!paths.is_empty()).then_some(News { until, paths: Some(paths) }),
        }
    }

    /// There is something, whether it matters or not.
    pub fn is_there(&self) -> bool {
        !self.paths.is_empty() || self.all.is_some()
    }

    /// Forgets all, unless there is something to tell of these paths.
    pub fn forget_unless(&mut self, only: &[Glob]) {
        if self.news(only).is_none() {
            self.told(self.publishes);
        }
    }

    /// It has been told of up to this publish. What a later one changed again stays.
    pub fn told(&mut self, until: u64) {
        self.paths.retain(|_, publish| *publish > until);
        self.all = self.all.filter(|publish| *publish > until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(changed: &mut Changed, paths: &[&str]) {
        changed.note(Some(paths.iter().copied()));
    }

    fn paths(changed: &Changed, only: &[&str]) -> Option<Vec<String>> {
        let only: Vec<_> = only.iter().map(|glob| Glob::parse(glob).unwrap()).collect();
        changed.news(&only)?.paths
    }

    #[test]
    fn several_publishes_are_one_piece_of_news() {
        let mut changed = Changed::default();
        assert_eq!(changed.news(&[]), None);
        noted(&mut changed, &["b", "db/host"]);
        noted(&mut changed, &["a", "b"]);
        assert_eq!(paths(&changed, &[]).unwrap(), ["a", "b", "db/host"]);
        assert_eq!(paths(&changed, &["db/*"]).unwrap(), ["db/host"]);
        assert_eq!(paths(&changed, &["web/*"]), None, "nothing that matters");
    }

    #[test]
    fn what_changes_while_it_is_told_is_told_again() {
        let mut changed = Changed::default();
        noted(&mut changed, &["a", "b"]);
        let news = changed.news(&[]).unwrap();
        noted(&mut changed, &["b"]);
        changed.told(news.until);
        assert_eq!(paths(&changed, &[]).unwrap(), ["b"]);
        changed.note(None::<std::iter::Empty<&str>>);
        changed.told(2);
        let news = changed.news(&[Glob::parse("x").unwrap()]).unwrap();
        assert_eq!(news, News { until: 3, paths: None }, "it is not known whether it matters");
        changed.told(news.until);
        assert_eq!(changed.news(&[]), None);
    }

    #[test]
    fn of_too_many_it_is_known_that_there_are() {
        let mut changed = Changed::default();
        let many: Vec<String> = (0..=MOST).map(|i| i.to_string()).collect();
        changed.note(Some(many.iter().map(String::as_str)));
        assert_eq!(changed.news(&[]).unwrap().paths, None);
    }
}
