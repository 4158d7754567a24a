//! Secrets kept in memory, which behave as the Kubernetes API documents it: versions change with every change, a patch
//! is whole or not at all, values above 1 MiB in all are refused. The pods' tests have the real one.

use super::super::*;
use crate::kubernetes::{self, secrets::Change, secrets::Secret};
use crate::store::volume::Shelf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Some Secrets. Clones are the same ones.
#[derive(Clone)]
pub(super) struct Memory(Arc<Mutex<Api>>);

#[derive(Default)]
struct Api {
    secrets: Vec<Secret>,
    /// How often each question was asked.
    asked: Asked,
    /// Answers the next questions, the first of them first.
    refusals: Vec<u16>,
    /// One of them, and what every question about it is answered with.
    shut: Option<(usize, u16)>,
    /// The same of every change.
    fixed: Option<(usize, u16)>,
    /// The answer to this change, counted from now, is lost; asked again, it is a conflict.
    lost: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) versions: usize,
    pub(super) secrets: usize,
    pub(super) changes: usize,
}

const WIDE: Limits = Limits { max_bytes: 1 << 24, max_keys: 100 };

impl Memory {
    pub(super) fn new(count: usize) -> Self {
        let secret = Secret { version: "1".into(), ..Secret::default() };
        let api = Api { secrets: vec![secret; count], ..Api::default() };
        Self(Arc::new(Mutex::new(api)))
    }

    pub(super) fn open(&self) -> Store {
        let volume = Volume::secrets(Box::new(self.clone()));
        Store { volume, access: Access::Write, limits: WIDE }
    }

    /// A store while whose work something happens, at this point of it.
    pub(super) fn open_while(
        &self,
        at: usize,
        happens: impl Fn(&Memory) + Send + 'static,
    ) -> Store {
        let passed = AtomicUsize::new(0);
        let shelf = Meddling { memory: self.clone(), passed, at, happens };
        Store { volume: Volume::secrets(Box::new(shelf)), ..self.open() }
    }

    pub(super) fn asked(&self) -> Asked {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    pub(super) fn shut(&self, shut: Option<(usize, u16)>) {
        self.0.lock().unwrap().shut = shut;
    }

    pub(super) fn refuse(&self, answers: &[u16]) {
        self.0.lock().unwrap().refusals = answers.to_vec();
    }

    /// Every change of one Secret is answered with this.
    pub(super) fn fix(&self, at: usize, status: u16) {
        self.0.lock().unwrap().fixed = Some((at, status));
    }

    /// The answer to a change is lost, so many changes from now.
    pub(super) fn lose(&self, from_now: usize) {
        self.0.lock().unwrap().lost = Some(from_now);
    }

    /// The value of a key, whichever Secret has it.
    pub(super) fn value(&self, key: &str) -> Option<Vec<u8>> {
        let api = self.0.lock().unwrap();
        api.secrets.iter().find_map(|secret| secret.data.get(key).cloned())
    }

    /// Every key with the Secret it is in.
    pub(super) fn keys(&self) -> Vec<(usize, String)> {
        let api = self.0.lock().unwrap();
        let secrets = api.secrets.iter().enumerate();
        secrets.flat_map(|(at, s)| s.data.keys().map(move |key| (at, key.clone()))).collect()
    }

    pub(super) fn change(
        &self,
        at: usize,
        change: impl FnOnce(&mut std::collections::BTreeMap<String, Vec<u8>>),
    ) {
        let mut api = self.0.lock().unwrap();
        let secret = &mut api.secrets[at];
        change(&mut secret.data);
        secret.version += "x";
    }
}

impl Api {
    fn answer(&mut self, at: usize) -> Result<(), kubernetes::Error> {
        if let Some((_, status)) = self.shut.filter(|(shut, _)| *shut == at) {
            return refused(status);
        }
        if self.refusals.is_empty() {
            return Ok(());
        }
        match self.refusals.remove(0) {
            0 => Ok(()),
            status => refused(status),
        }
    }
}

fn refused<T>(status: u16) -> Result<T, kubernetes::Error> {
    Err(kubernetes::Error::Refused { status, reason: "Test".into(), message: String::new() })
}

impl Shelf for Memory {
    fn count(&self) -> usize {
        self.0.lock().unwrap().secrets.len()
    }

    fn version(&self, at: usize) -> Result<String, kubernetes::Error> {
        let mut api = self.0.lock().unwrap();
        api.asked.versions += 1;
        api.answer(at)?;
        Ok(api.secrets[at].version.clone())
    }

    fn secret(&self, at: usize) -> Result<Secret, kubernetes::Error> {
        let mut api = self.0.lock().unwrap();
        api.asked.secrets += 1;
        api.answer(at)?;
        Ok(api.secrets[at].clone())
    }

    fn change(&self, at: usize, change: &Change) -> Result<(), kubernetes::Error> {
        let mut api = self.0.lock().unwrap();
        api.asked.changes += 1;
        api.answer(at)?;
        if let Some((_, status)) = api.fixed.filter(|(fixed, _)| *fixed == at) {
            return refused(status);
        }
        let secret = &mut api.secrets[at];
        if change.version.as_ref().is_some_and(|v| *v != secret.version) {
            return refused(409);
        }
        let mut data = secret.data.clone();
        data.retain(|key, _| !change.remove.contains(key));
        data.extend(change.set.iter().cloned());
        if data.values().map(Vec::len).sum::<usize>() > 1 << 20 {
            return refused(422);
        }
        if data != secret.data {
            secret.data = data;
            let number: u64 = secret.version.trim_end_matches('x').parse().unwrap();
            secret.version = (number + 1).to_string();
        }
        let lost = api.lost == Some(0);
        api.lost = api.lost.and_then(|left| left.checked_sub(1));
        if lost { refused(409) } else { Ok(()) }
    }
}

/// Something happens at one point: before a question, or after a change has been answered.
struct Meddling<F> {
    memory: Memory,
    passed: AtomicUsize,
    at: usize,
    happens: F,
}

impl<F: Fn(&Memory)> Meddling<F> {
    fn point(&self) {
        if self.passed.fetch_add(1, Ordering::Relaxed) == self.at {
            (self.happens)(&self.memory);
        }
    }
}

impl<F: Fn(&Memory) + Send> Shelf for Meddling<F> {
    fn count(&self) -> usize {
        self.memory.count()
    }

    fn version(&self, at: usize) -> Result<String, kubernetes::Error> {
        self.point();
        self.memory.version(at)
    }

    fn secret(&self, at: usize) -> Result<Secret, kubernetes::Error> {
        self.point();
        self.memory.secret(at)
    }

    fn change(&self, at: usize, change: &Change) -> Result<(), kubernetes::Error> {
        self.point();
        let answer = Shelf::change(&self.memory, at, change);
        self.point();
        answer
    }
}
