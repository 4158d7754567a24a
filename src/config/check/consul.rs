//! Where Consul is and how to speak to it.

use super::{
    super::{
        Address, ClientCert, Consul, Scheme, Scope, Tls,
        address::AddressError,
        problem::{Kind, Problem, Reason, Warning},
        setting::Id,
        typed::Given,
    },
    Checker, read,
};

/// What helps whoever may not switch verification off.
const HOW_TO_TRUST: &str = "name the authority with --ca-file, and the name in the certificate \
                            with --tls-server-name if it is not the address's";

/// What to write in a pod.
const POD_HINT: &str = "set CONSUL_HTTP_ADDR or --consul, as in \
                        https://consul-server.consul.svc:8501";

impl Checker<'_> {
    pub fn consul(&mut self) -> Consul {
        self.verification_is_on();
        let addresses = self.addresses();
        let tls = self.tls();
        self.tls_is_of_use(&addresses, &tls);
        Consul {
            addresses,
            datacenter: self.label(Id::Datacenter),
            namespace: self.label(Id::Namespace),
            partition: self.label(Id::Partition),
            auth: self.optional(Id::Auth, |typed| typed.parse().map_err(read::secret_reason)),
            tls,
        }
    }

    fn verification_is_on(&mut self) {
        self.read(Id::SslVerify, |typed| match read::switch(typed)? {
            true => Ok(()),
            false => {
                Err(Reason::new(Kind::Unsupported, "cannot be switched off").hint(HOW_TO_TRUST))
            }
        });
    }

    fn addresses(&mut self) -> Vec<Address> {
        let tls = self.switch(Id::Ssl);
        let typed = self.typed.all(Id::Consul);
        if typed.is_empty() {
            return self.default_address(tls);
        }
        let mut addresses = Vec::new();
        for given in typed {
            let read = Address::parse(&given.text, tls).map_err(address_reason);
            addresses.extend(self.pass(Id::Consul, given, read));
            if tls && given.text.starts_with("http://") {
                self.spoken_to_as_https(given);
            }
        }
        addresses
    }

    /// Consul's own default outside a pod. In a pod it would be the pod itself, where no agent is.
    fn default_address(&mut self, tls: bool) -> Vec<Address> {
        if self.scope == Scope::Offline {
            return vec![];
        }
        if self.in_pod {
            let reason = "is needed: in a pod there is no default address";
            let problem = Problem::new(Kind::Missing, Id::Consul.row().name, reason);
            self.problems.push(problem.hint(POD_HINT));
            return vec![];
        }
        Address::parse(Id::Consul.row().default, tls).into_iter().collect()
    }

    fn spoken_to_as_https(&mut self, given: &Given) {
        let reason = "is spoken to as https, because CONSUL_HTTP_SSL is true";
        let mut problem = Problem::new(Kind::Doubtful, Id::Consul.row().name, reason)
            .at(given.origin.clone())
            .hint("write https://, or remove CONSUL_HTTP_SSL");
        problem.text = given.shown(Id::Consul.row()).map(str::to_owned);
        self.warnings.push(Warning::mild(problem));
    }

    fn tls(&mut self) -> Tls {
        Tls {
            ca_file: self.optional_path(Id::CaFile),
            ca_path: self.optional_path(Id::CaPath),
            client: self.client_cert(),
            server_name: self.optional(Id::TlsServerName, server_name),
        }
    }

    fn client_cert(&mut self) -> Option<ClientCert> {
        let pair = (self.optional_path(Id::ClientCert), self.optional_path(Id::ClientKey));
        match pair {
            (Some(cert), Some(key)) => Some(ClientCert { cert, key }),
            (None, None) => None,
            (Some(_), None) => self.lonely(Id::ClientCert, Id::ClientKey),
            (None, Some(_)) => self.lonely(Id::ClientKey, Id::ClientCert),
        }
    }

    fn lonely(&mut self, given: Id, other: Id) -> Option<ClientCert> {
        // A bad value is a problem already: it needs no second one.
        if self.typed.one(other).is_none() {
            let reason = format!("is given without {}", other.row().name);
            self.clash(given, &reason, "give both, or neither");
        }
        None
    }

    fn tls_is_of_use(&mut self, addresses: &[Address], tls: &Tls) {
        let https = addresses.iter().any(|a| a.scheme == Scheme::Https);
        if *tls == Tls::default() || addresses.is_empty() || https {
            return;
        }
        let all = [Id::CaFile, Id::CaPath, Id::ClientCert, Id::TlsServerName];
        let given = all.into_iter().find(|id| self.typed.one(*id).is_some());
        if let Some(id) = given {
            let reason = "is of no use: no address is https";
            let problem = self.about(id, Kind::Doubtful, reason);
            let hint = "write https:// before Consul's address, or set CONSUL_HTTP_SSL=true";
            self.warnings.push(Warning::mild(problem.hint(hint)));
        }
    }
}

fn address_reason(error: AddressError) -> Reason {
    let reason = Reason::malformed(error);
    match error {
        AddressError::Credentials => reason.hint("set CONSUL_HTTP_AUTH or --token-file"),
        AddressError::Query => reason.hint("use --datacenter, --namespace or --token-file"),
        AddressError::NoPort => reason.hint("add one, as in consul:8500"),
        _ => reason,
    }
}

/// A name to expect in a certificate. A port is cut off, as Consul's own clients do.
fn server_name(typed: &str) -> Result<String, Reason> {
    let name = match typed.split_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => typed,
    };
    let odd = |b: u8| !b.is_ascii_alphanumeric() && !matches!(b, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > 253 || name.bytes().any(odd) {
        let reason = Reason::malformed("is no host name");
        return Err(reason.hint("write it as in server.dc1.consul"));
    }
    Ok(name.to_owned())
}
