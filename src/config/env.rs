//! The environment: ours, Consul's, and what Kubernetes puts between.

use std::{collections::BTreeMap, ffi::OsString};

use super::{
    guess::did_you_mean,
    problem::{Kind, Origin, Problem, Warning},
    setting::{Id, Setting, TABLE},
    typed::{Given, Typed},
};

/// The directory that applications read. Ours by name, a setting of theirs.
const FOR_APPLICATIONS: &str = "SEEDCAR_DIR";

/// Environment variables, taken once by `main` and handed down. No `Debug`: some are secrets.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<String, String>);

// === impl Env ===

impl Env {
    /// A variable's text. An empty variable is an unset one, as Consul's own clients have it, and as
    /// templates leave it.
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// True in a container that Kubernetes started.
    pub fn in_pod(&self) -> bool {
        self.get("KUBERNETES_SERVICE_HOST").is_some()
    }

    /// The value of one of our variables.
    pub(super) fn one(&self, id: Id) -> Option<Given> {
        let name = id.row().variable()?;
        let text = self.get(&name)?.to_owned();
        Some(Given { text, origin: Origin::Seedcar(name) })
    }

    /// Our own variables, as the layer below the flags.
    pub(super) fn layer(&self, problems: &mut Vec<Problem>) -> Typed {
        let mut typed = Typed::default();
        for row in &TABLE {
            let Some(name) = row.variable() else { continue };
            let origin = Origin::Seedcar(name.clone());
            match self.text(row, &name, &origin, problems) {
                Some(list) if row.repeats => list
                    .split(',')
                    .for_each(|text| typed.add(row.id, text.trim().to_owned(), origin.clone())),
                Some(text) => typed.add(row.id, text.to_owned(), origin),
                None => {}
            }
        }
        typed
    }

    /// Consul's own variables, as the lowest layer.
    pub(super) fn consul_layer(&self, problems: &mut Vec<Problem>) -> Typed {
        let mut typed = Typed::default();
        for row in &TABLE {
            let Some(name) = row.consul else { continue };
            let origin = Origin::Consul(name.to_owned());
            if let Some(text) = self.text(row, name, &origin, problems) {
                typed.add(row.id, text.to_owned(), origin);
            }
        }
        typed
    }

    fn text(
        &self,
        row: &Setting,
        name: &str,
        origin: &Origin,
        problems: &mut Vec<Problem>,
    ) -> Option<&str> {
        let text = self.get(name)?;
        if text.contains(char::REPLACEMENT_CHARACTER) {
            let problem = Problem::new(Kind::Malformed, row.name, "is not UTF-8");
            problems.push(problem.at(origin.clone()));
            return None;
        }
        Some(text)
    }

    /// `CONSUL_*` variables that would be ignored. Values are not shown: some are tokens.
    pub(super) fn unsupported(&self) -> Vec<Problem> {
        let known = |name: &str| TABLE.iter().any(|row| row.consul == Some(name));
        let strangers = self.with_prefix("CONSUL_").filter(|name| !known(name));
        strangers.map(unsupported).collect()
    }

    /// `SEEDCAR_*` variables that nothing reads.
    pub(super) fn unknown(&self) -> Vec<Warning> {
        let known: Vec<String> = TABLE.iter().filter_map(Setting::variable).collect();
        let strangers = self
            .with_prefix("SEEDCAR_")
            .filter(|name| *name != FOR_APPLICATIONS && !known.iter().any(|k| k == name));
        strangers.map(|name| Warning::strict(unknown(name))).collect()
    }

    /// The names that start with `prefix`, without those that Kubernetes makes for a Service that
    /// happens to be called so.
    fn with_prefix<'e>(&'e self, prefix: &'e str) -> impl Iterator<Item = &'e str> {
        let names = self.0.keys().map(String::as_str);
        names.filter(move |name| name.starts_with(prefix) && !is_for_a_service(name))
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Env {
    /// Takes `std::env::vars_os()`. What is not UTF-8 is kept with U+FFFD in it, and refused if it is
    /// ever looked at.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let lossy = |text: OsString| text.to_string_lossy().into_owned();
        let pairs = variables.into_iter();
        Self(pairs.map(|(name, text)| (lossy(name.into()), lossy(text.into()))).collect())
    }
}

/// The names that Kubernetes (and Docker's links before it) gives to every container for each
/// Service in its namespace.
fn is_for_a_service(name: &str) -> bool {
    name.ends_with("_PORT")
        || name.contains("_PORT_")
        || name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
}

fn unsupported(name: &str) -> Problem {
    let problem = Problem::new(Kind::Unsupported, name, "is not supported")
        .at(Origin::Consul(name.to_owned()));
    let bare = name.trim_start_matches("CONSUL_");
    let ours = format!("SEEDCAR_{bare}");
    let consuls = TABLE.iter().filter_map(|row| row.consul);
    let guess = did_you_mean(bare, consuls.map(|known| &known["CONSUL_".len()..]));
    let hint = if TABLE.iter().any(|row| row.variable() == Some(ours.clone())) {
        format!("remove it, or set {ours}")
    } else if let Some(guess) = guess {
        guess.replace("mean ", "mean CONSUL_")
    } else {
        "remove it from this container: seedcar would not do what it says".to_owned()
    };
    problem.hint(hint)
}

fn unknown(name: &str) -> Problem {
    let known: Vec<String> = TABLE.iter().filter_map(Setting::variable).collect();
    let bare = name.trim_start_matches("SEEDCAR_");
    let guess = did_you_mean(bare, known.iter().map(|k| &k["SEEDCAR_".len()..]));
    let hint = guess.map_or_else(
        || "remove it; `seedcar config print` lists the settings".to_owned(),
        |guess| guess.replace("mean ", "mean SEEDCAR_"),
    );
    Problem::new(Kind::Unknown, name, "is not a setting")
        .at(Origin::Seedcar(name.to_owned()))
        .hint(hint)
}
