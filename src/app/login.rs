//! The thread that logs in to Consul, where that is how a token is had.

use std::sync::Arc;

use super::App;
use crate::config::Token;
use crate::consul::login::Login;
use crate::supervise::{Pulse, Unit, until_drained_then};

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
            pokes: self.pokes(),
            poke: self.login_poke.clone(),
            retired: std::sync::Mutex::default(),
        };
        let drain = self.drain.clone();
        let work = move |pulse: &Pulse| {
            until_drained_then(&drain, pulse, login.keep(pulse), login.end());
        };
        Unit::spawn("login", self.drain.clone(), work).map(Some)
    }
}
