//! The thread that logs in to Consul, where that is how a token is had.

use std::sync::Arc;

use super::App;
use crate::config::Token;
use crate::consul::login::Login;
use crate::supervise::{Pulse, Unit, to_its_end};

impl App {
    /// Starts it. It logs out when told to stop.
    pub(super) fn start_login(self: &Arc<Self>) -> std::io::Result<Option<Unit>> {
        let Token::Login(settings) = &self.config.token else {
            return Ok(None);
        };
        let login = Login {
            settings: settings.clone(),
            client: self.client("login"),
            session: self.session.clone(),
            board: self.board.clone(),
            metrics: self.metrics.clone(),
            pokes: self.named_pokes(),
            poke: self.login_poke.clone(),
            retired: std::sync::Mutex::default(),
            drain: self.drain.clone(),
        };
        let work = move |pulse: &Pulse| to_its_end(&login.drain, pulse, login.run(pulse));
        Unit::spawn("login", self.drain.clone(), work).map(Some)
    }
}
