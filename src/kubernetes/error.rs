//! What can go wrong with the Kubernetes API.

/// The API could not be used. No text holds a token or a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no service account to ask with.
    #[error(
        "no service account of a pod: {0}; mount a token at \
             /var/run/secrets/kubernetes.io/serviceaccount (the chart does)"
    )]
    NotInPod(String),
    /// There was no answer.
    #[error("the Kubernetes API does not answer: {0}")]
    Unreachable(String),
    /// There was an answer, and it is no.
    #[error("the Kubernetes API says {status} {reason}{}{message}", if message.is_empty() { "" } else { ": " })]
    Refused {
        /// The status code.
        status: u16,
        /// Kubernetes' word for it.
        reason: String,
        /// Its sentence, where that quotes nothing that was sent.
        message: String,
    },
    /// The answer is not what the API documents.
    #[error("the Kubernetes API answered what is no {0}")]
    Malformed(&'static str),
}

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not allowed.
    Denied,
    /// The token is not accepted.
    Token,
    /// Not there.
    Missing,
    /// It has changed since it was read.
    Conflict,
    /// The API takes no such object.
    Refused,
    /// This is no pod with a service account.
    NotInPod,
    /// Anything else.
    Other,
}

// === impl Error ===

impl Error {
    /// What kind of error this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Refused { status: 403, .. } => Kind::Denied,
            Self::Refused { status: 401, .. } => Kind::Token,
            Self::Refused { status: 404, .. } => Kind::Missing,
            Self::Refused { status: 409, .. } => Kind::Conflict,
            Self::Refused { status: 413 | 422, .. } => Kind::Refused,
            Self::NotInPod(_) => Kind::NotInPod,
            Self::Refused { .. } | Self::Unreachable(_) | Self::Malformed(_) => Kind::Other,
        }
    }

    /// True when it says nothing of other objects of the same kind.
    pub fn is_of_one_object(&self) -> bool {
        matches!(self.kind(), Kind::Denied | Kind::Missing)
    }

    /// True when asking again may help: nobody answered, or somebody is overloaded.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::NotInPod(_) | Self::Malformed(_) => false,
        }
    }
}
