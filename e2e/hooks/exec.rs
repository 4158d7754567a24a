//! `seedcar exec`: an application in its own container, started late and told of changes.

mod actions;
mod application;
mod lifecycle;
mod terminal;
mod user;
