//! A service's instances in one file.

use std::sync::Arc;

use super::{Made, TooLarge};
use crate::model::key::Unsafe;
use crate::model::output::{Instances, Listing};
use crate::model::service::{Instance, Service};
use crate::model::snapshot::Snapshot;

/// What a line of a list stands for.
pub const ENDPOINT: &str = "{}";

/// Writes the instances of a snapshot, by node and id. Those that cannot be in such a file are left out.
pub fn make(file: &Instances, snapshot: &Snapshot) -> Result<Made, TooLarge> {
    let (mut lines, mut left_out) = (Vec::new(), Vec::new());
    for (at, entry) in snapshot.entries().iter().enumerate() {
        let instance = Instance::parse(&entry.value).ok_or(Unsafe::NotText);
        let made = instance.and_then(|instance| {
            let line = line(&file.listing, &instance, &entry.value)?;
            Ok(((instance.node, instance.id), line))
        });
        match made {
            Ok(line) => lines.push(line),
            Err(why) => left_out.push((at, why)),
        }
    }
    let size: usize = lines.iter().map(|(_, line)| line.len() + FRAME).sum();
    if size as u64 > file.max_bytes {
        return Err(TooLarge { path: file.path.clone(), max: file.max_bytes });
    }
    lines.sort();
    let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
    let text = match file.listing {
        Listing::Json if lines.is_empty() => "[]\n".to_owned(),
        Listing::Json => format!("[\n  {}\n]\n", lines.join(",\n  ")),
        Listing::Lines(_) => lines.iter().map(|line| format!("{line}\n")).collect(),
    };
    Ok(Made { bytes: text.into_bytes(), left_out })
}

/// The keys of the instances in a file of JSON; `None` where it is none.
pub fn keys(text: &[u8], service: &Service) -> Option<Arc<[String]>> {
    let instances: Vec<Instance> = serde_json::from_slice(text).ok()?;
    Some(instances.iter().map(|instance| service.key(&instance.node, &instance.id)).collect())
}

/// A comma, a line break and two blanks.
const FRAME: usize = 4;

fn line(listing: &Listing, instance: &Instance, value: &[u8]) -> Result<String, Unsafe> {
    match listing {
        // As it was decoded, or as a backup has it.
        Listing::Json => String::from_utf8(value.to_owned()).map_err(|_| Unsafe::NotText),
        Listing::Lines(line) => {
            let endpoint = instance.endpoint().ok_or(Unsafe::NotAnAddress)?;
            Ok(line.replace(ENDPOINT, &endpoint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::service::{State, Weights};
    use crate::model::snapshot::Entry;

    fn instance(node: &str, id: &str, address: &str) -> Instance {
        Instance {
            id: id.to_owned(),
            name: "web".to_owned(),
            node: node.to_owned(),
            address: address.to_owned(),
            port: 80,
            tags: vec!["a".to_owned()],
            meta: [("k\n".to_owned(), "\"v".to_owned())].into(),
            datacenter: "dc1".to_owned(),
            weights: Weights { passing: 1, warning: 1 },
            status: State::Passing,
        }
    }

    fn snapshot(instances: &[Instance]) -> Snapshot {
        let service = Service::new("web", None, true).unwrap();
        let entry = |i: &Instance| Entry::new(&service.key(&i.node, &i.id), &i.to_json(), 0, 0, 0);
        Snapshot::new(1, instances.iter().map(entry).map(Arc::new).collect()).unwrap()
    }

    fn file(listing: Listing) -> Instances {
        Instances { path: "web".to_owned(), listing, max_bytes: 4096 }
    }

    fn lines(line: &str) -> Instances {
        file(Listing::Lines(line.to_owned()))
    }

    #[test]
    fn instances_are_listed_by_node_and_id() {
        let all = snapshot(&[
            instance("n-b", "1", "10.0.0.3"),
            instance("n", "2", "10.0.0.2"),
            instance("n", "1", "fd00::1"),
        ]);
        let made = make(&lines("server {} max_fails=0;"), &all).unwrap();
        let expected = "server [fd00::1]:80 max_fails=0;\nserver 10.0.0.2:80 max_fails=0;\n\
                        server 10.0.0.3:80 max_fails=0;\n";
        assert_eq!(String::from_utf8(made.bytes).unwrap(), expected);
        let made = make(&file(Listing::Json), &all).unwrap();
        let read: Vec<Instance> = serde_json::from_slice(&made.bytes).unwrap();
        assert_eq!(read.iter().map(|i| &*i.id).collect::<Vec<_>>(), ["1", "2", "1"]);
        assert_eq!(read[2], instance("n-b", "1", "10.0.0.3"));
        let service = Service::new("web", None, true).unwrap();
        let mut known = keys(&made.bytes, &service).unwrap().to_vec();
        known.sort();
        assert!(known.iter().eq(all.entries().iter().map(|entry| &*entry.key)));
        assert_eq!(keys(b"{}", &service), None);
        assert!(made.left_out.is_empty());
        assert_eq!(make(&file(Listing::Json), &Snapshot::empty(1)).unwrap().bytes, b"[]\n");
    }

    #[test]
    fn what_would_be_a_line_of_its_own_is_left_out() {
        let mut all = snapshot(&[instance("n", "1", "h;\ndeny all"), instance("n", "2", "h")]);
        let made = make(&lines("{}"), &all).unwrap();
        let left_out = vec![(0, Unsafe::NotAnAddress)];
        assert_eq!((&*made.bytes, made.left_out), (&b"h:80\n"[..], left_out));
        // What is no instance, as only a forged backup has it.
        let key = Service::new("web", None, true).unwrap().key("n", "3");
        let forged = Entry::new(&key, b"[] , {", 0, 0, 0);
        let mut entries = all.entries().to_vec();
        entries.push(Arc::new(forged));
        all = Snapshot::new(1, entries).unwrap();
        assert_eq!(make(&file(Listing::Json), &all).unwrap().left_out, [(2, Unsafe::NotText)]);
        let expected = [(0, Unsafe::NotAnAddress), (2, Unsafe::NotText)];
        assert_eq!(make(&lines("{}"), &all).unwrap().left_out, expected);
    }

    #[test]
    fn a_file_has_a_limit() {
        let all = snapshot(&[instance("n", "1", "h")]);
        let line = "x".repeat(5000) + ENDPOINT;
        assert!(make(&lines(&line), &all).is_err());
    }
}
