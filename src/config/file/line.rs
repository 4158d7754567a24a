//! Finds the line of a value by its path.
//!
//! serde_yaml tells lines in errors only. So the file is read once more, down the path, and an error
//! is raised on arrival.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The line of the key or list item at `path`, such as `watch.wait` or `sources[1].prefix`.
pub(super) fn of(text: &str, path: &str) -> Option<usize> {
    let spread = path.replace('[', ".[").replace(']', "");
    let steps: Vec<&str> = spread.split('.').filter(|s| !s.is_empty()).collect();
    if steps.is_empty() {
        return None;
    }
    let parsed = Walk(&steps).deserialize(serde_yaml::Deserializer::from_str(text));
    Some(parsed.err()?.location()?.line())
}

/// Goes down the steps, and fails at the end of them.
struct Walk<'s>(&'s [&'s str]);

/// Says whether a key is the one looked for; fails if it is also the last.
struct Key<'s>(&'s str, bool);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the end of the path")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((key, rest)) = self.0.split_first() else {
            return Err(A::Error::custom("here"));
        };
        while let Some(found) = map.next_key_seed(Key(key, rest.is_empty()))? {
            if found {
                return map.next_value_seed(Walk(rest));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.0.split_first() else {
            return Err(A::Error::custom("here"));
        };
        let at = step.trim_start_matches('[').parse().unwrap_or(0);
        for _ in 0..at {
            list.next_element::<IgnoredAny>()?;
        }
        list.next_element_seed(Walk(rest)).map(|_| ())
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        match (key == self.0, self.1) {
            (true, true) => Err(E::custom("here")),
            (found, _) => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_path_leads_to_its_line() {
        let text = "\
volume: /seedcar
watch:
  enabled: true

  wait: 30s
sources:
- name: one
  prefix: a
- name: two
  prefix: b
outputs: [{tree: {layers: [one,
  two]}}]
";
        for (path, line) in [
            ("volume", Some(1)),
            ("watch", Some(2)),
            ("watch.wait", Some(5)),
            ("sources[0].name", Some(7)),
            ("sources[1]", Some(9)),
            ("sources[1].prefix", Some(10)),
            ("outputs[0].tree.layers[1]", Some(12)),
            ("heartbeat", None),
            ("", None),
        ] {
            assert_eq!(of(text, path), line, "{path}");
        }
    }
}
