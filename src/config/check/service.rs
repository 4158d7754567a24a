//! A source that is a service, and the file of its instances.

use super::{
    super::{
        problem::{Kind, Problem},
        typed::{Given, Group, NamedSource},
    },
    Checker,
};
use crate::model::format::instances::ENDPOINT;
use crate::model::output::{Form, Instances, Listing, Output};
use crate::model::service::Service;

impl Checker<'_> {
    /// The question for a service's instances.
    pub(super) fn service(&mut self, said: &Group) -> Option<Service> {
        let Some(name) = said.word("name") else {
            let problem = Problem::new(Kind::Missing, "service", "has no name");
            let hint = "write the name that it is registered under, as in name: postgres";
            self.problems.push(problem.at(said.origin.clone()).hint(hint));
            return None;
        };
        let tag = said.word("tag");
        if let Some(tag) = tag.filter(|tag| !is_printable(&tag.text)) {
            let hint = "write one tag, or leave it out for instances of any";
            self.bad_service(tag, "tag", "is none", hint);
        }
        let passing = said.word("passing").is_none_or(|given| given.text != "false");
        match Service::new(&name.text, tag.map(|tag| tag.text.as_str()), passing) {
            Ok(service) => Some(service),
            Err(why) => {
                let hint = "write the name of one service, as in postgres";
                self.bad_service(name, "service", &why.to_string(), hint);
                None
            }
        }
    }

    /// The file of a source's instances.
    pub(super) fn instances(
        &mut self,
        source: &NamedSource,
        at: usize,
        max_bytes: u64,
    ) -> Option<Output> {
        let listing = self.listing(source.service.as_ref()?);
        let path = self.path_of(&service_file(source)?, "file");
        let (path, listing) = (path?, listing?);
        let form = Form::Instances(Instances { path, listing, max_bytes });
        Some(Output { max_bytes, ..Output::of(vec![at], form) })
    }

    fn listing(&mut self, said: &Group) -> Option<Listing> {
        let line = said.word("line");
        if let Some(line) =
            line.filter(|line| !is_printable(&line.text) || !line.text.contains(ENDPOINT))
        {
            let hint = "write {} where host:port is to stand, as in \"server {};\"";
            self.bad_service(line, "line", "is no line with a place for an instance", hint);
            return None;
        }
        if let Some(format) = said.word("format") {
            self.chosen(format, "format", &[("json", ()), ("lines", ())])?;
        }
        match (are_lines(said), line) {
            (false, Some(line)) => {
                let problem = Problem::new(Kind::Conflict, "line", "is said of a file in JSON");
                let hint = "leave it out, or write format: lines";
                self.problems.push(problem.at(line.origin.clone()).hint(hint));
                None
            }
            (false, None) => Some(Listing::Json),
            (true, line) => {
                let line = line.map_or(ENDPOINT, |given| &given.text);
                Some(Listing::Lines(line.to_owned()))
            }
        }
    }

    fn bad_service(&mut self, given: &Given, name: &str, reason: &str, hint: &str) {
        let problem = Problem::new(Kind::Malformed, name, reason).text(&given.text);
        self.problems.push(problem.at(given.origin.clone()).hint(hint));
    }
}

/// Where the file of a source's instances is to be, as typed or by its name.
pub(super) fn service_file(source: &NamedSource) -> Option<Given> {
    let said = source.service.as_ref()?;
    let by_name = || {
        let ending = if are_lines(said) { "txt" } else { "json" };
        let text = format!("{}.{ending}", source.name.as_deref().unwrap_or_default());
        Given { text, origin: said.origin.clone() }
    };
    Some(said.word("file").cloned().unwrap_or_else(by_name))
}

fn are_lines(said: &Group) -> bool {
    said.word("format").map_or(said.word("line").is_some(), |given| given.text == "lines")
}

/// Something, and no line break in it.
fn is_printable(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}
