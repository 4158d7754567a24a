//! Which keys there are in what was adopted, as far as its files tell them. Until they are read again
//! nothing else tells which of them an answer lacks.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::{Publisher, audit, volume};
use crate::model::format::instances;
use crate::model::output::{Form, Instances, Listing};
use crate::model::service::Service;

impl Publisher {
    /// Notes them.
    pub(super) fn note_keys(&self, root: &OwnedFd) {
        let keys = self.keys_of_trees(root).into_iter().chain(self.keys_of_services(root));
        for (at, keys) in keys.collect::<Vec<_>>() {
            self.board.update(|state| state.sources[at].adopted_keys = Some(keys));
        }
    }

    /// Those of the one source of keys there is, laid out as a tree.
    fn keys_of_trees(&self, root: &OwnedFd) -> Option<(usize, Arc<[String]>)> {
        let outputs = &self.setup.outputs;
        let mut trees = outputs.iter().filter(|output| output.form.path().is_none()).peekable();
        // Where files have other names than keys they tell none.
        let are_plain = trees.peek().is_some() && trees.all(|tree| tree.naming.is_plain());
        let sources = self.setup.sources.iter().enumerate();
        let prefixes = sources.map(|(at, (_, prefix))| (at, prefix));
        let of_keys = prefixes.filter(|(_, prefix)| Service::of_prefix(prefix.as_str()).is_none());
        let of_keys: Vec<_> = of_keys.collect();
        let ([(at, prefix)], true) = (of_keys.as_slice(), are_plain) else {
            return None;
        };
        let is_key =
            |path: &String| !outputs.iter().any(|output| output.form.path() == Some(path.as_str()));
        let files = audit::files(root.as_fd()).into_iter().flatten().filter(is_key);
        let above = prefix.above();
        Some((*at, files.map(|path| format!("{above}{path}")).collect()))
    }

    /// Those of services whose file is JSON.
    fn keys_of_services(&self, root: &OwnedFd) -> Vec<(usize, Arc<[String]>)> {
        let of = |(file, at): (&Instances, usize)| {
            let service = Service::of_prefix(self.setup.sources[at].1.as_str())?;
            let opened = volume::open_file(root, &file.path).ok()?;
            let text = volume::read_whole(&opened, file.max_bytes).ok()?;
            Some((at, instances::keys(&text, &service)?))
        };
        let outputs = self.setup.outputs.iter();
        let files = outputs.filter_map(|output| match (&output.form, &*output.layers) {
            (Form::Instances(file), [at]) if file.listing == Listing::Json => Some((file, *at)),
            _ => None,
        });
        files.filter_map(of).collect()
    }
}
