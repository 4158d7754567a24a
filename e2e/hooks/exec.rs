//! `seedcar exec`: an application in its own container, started late and told of changes.

mod actions;
pub mod application;
mod hung;
mod lifecycle;
mod terminal;
mod user;
