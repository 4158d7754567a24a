//! `seedcar exec`: an application in its own container, started late and told of changes.

mod actions;
pub mod application;
mod lifecycle;
mod terminal;
mod user;
