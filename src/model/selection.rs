//! Which keys an output takes.

use glob::{MatchOptions, Pattern};

/// A pattern over paths below a source's prefix: `*` stands for anything within a level, `**` for any
/// levels, `?` for a character, `[ab]` for one of some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Pattern);

/// Patterns of keys to take, and of keys to leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// All keys, where there are none.
    pub include: Vec<Glob>,
    /// They win over the others.
    pub exclude: Vec<Glob>,
}

// === impl Glob ===

impl Glob {
    /// Reads a pattern; the error says what is wrong with it.
    pub fn parse(typed: &str) -> Result<Self, &'static str> {
        Pattern::new(typed).map(Self).map_err(|error| error.msg)
    }

    /// The pattern that nothing but `path` matches.
    pub fn exactly(path: &str) -> Self {
        Self(Pattern::new(&Pattern::escape(path)).expect("an escaped path is a pattern"))
    }

    /// True where a path matches, as a whole.
    pub fn matches(&self, path: &str) -> bool {
        // A hidden file is a file: no name is special to Consul.
        let options = MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: false,
        };
        self.0.matches_with(path, options)
    }
}

impl std::fmt::Display for Glob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str())
    }
}

// === impl Selection ===

impl Selection {
    /// True where a key at this path is taken.
    pub fn takes(&self, path: &str) -> bool {
        let any = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(path));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(typed: &[&str]) -> Vec<Glob> {
        typed.iter().map(|glob| Glob::parse(glob).unwrap()).collect()
    }

    #[test]
    fn a_star_stays_within_a_level() {
        for (glob, yes, no) in [
            ("db/*", "db/a", "db/a/b"),
            ("db/**", "db/a/b", "dbx/a"),
            ("**/*.md", "a.md", "a.mdx"),
            ("**/*.md", "a/b/c.md", "a.md/b"),
            ("*", ".hidden", "a/.hidden"),
            ("[ab]?", "ax", "cx"),
            ("A", "A", "a"),
        ] {
            let glob = Glob::parse(glob).unwrap();
            assert!(glob.matches(yes) && !glob.matches(no), "{glob:?}");
        }
        assert!(Glob::parse("a**b").is_err() && Glob::parse("[a").is_err());
    }

    #[test]
    fn what_is_excluded_is_out_even_where_it_is_included() {
        let selection = Selection { include: globs(&["db/**"]), exclude: globs(&["**/*.bak"]) };
        assert!(selection.takes("db/host") && selection.takes("db/a/b"));
        assert!(!selection.takes("db/a.bak") && !selection.takes("web"));
        assert!(Selection::default().takes("any/thing"));
        let selection = Selection { include: vec![], exclude: globs(&["db/**"]) };
        assert!(selection.takes("web") && !selection.takes("db/x"));
    }
}
