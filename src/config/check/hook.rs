//! Who is told of each change.

use super::{
    super::{
        Hook,
        problem::{Kind, Problem},
        typed::Given,
    },
    Checker,
};

/// The methods that may have a body, and the one that people take all the same.
const METHODS: [&str; 4] = ["POST", "PUT", "PATCH", "GET"];

impl Checker<'_> {
    /// None where nobody is told.
    pub fn hook(&mut self) -> Option<Hook> {
        let typed = self.typed.hook.as_ref()?;
        let Some(url) = typed.word("url") else {
            let problem = Problem::new(Kind::Missing, "hook", "has no url");
            let hint = "write it as in url: http://127.0.0.1:8080/-/reload";
            self.problems.push(problem.at(typed.origin.clone()).hint(hint));
            return None;
        };
        let url = self.url(url);
        let methods = METHODS.map(|method| (method, method));
        let method = typed.word("method").map(|given| self.chosen(given, "method", &methods));
        let success = typed.list("success").unwrap_or_default();
        let success: Vec<_> = success.iter().map(|given| self.code(given)).collect();
        let timeout = self.timeout_of(typed);
        let only = self.globs(typed.list("only").unwrap_or_default());
        Some(Hook {
            url: url?,
            method: method.unwrap_or(Some("POST"))?.to_owned(),
            success: success.into_iter().collect::<Option<_>>()?,
            timeout,
            only: only?,
        })
    }

    fn code(&mut self, given: &Given) -> Option<u16> {
        let code = given.text.parse().ok().filter(|code| (100..600).contains(code));
        if code.is_none() {
            let problem = Problem::new(Kind::Malformed, "success", "is no status code of HTTP");
            let problem = problem.text(&given.text).at(given.origin.clone());
            self.problems.push(problem.hint("write codes, as in [200, 204]"));
        }
        code
    }
}
