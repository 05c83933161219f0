//! How the backend is called: where, for how long, and what it is shown.

use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;

use crate::core::secret::SigningSecret;

/// How long a call may take if `--ws-timeout` is 0, for no limit: the longest that the option
/// takes. A call that never ended would hold its place among the others for good.
pub(super) const UNLIMITED: Duration = Duration::from_secs(600);

/// How often an idle client is asked whether it is there if `--ws-timeout` is 0: its default.
const PING_EVERY: Duration = Duration::from_secs(30);

/// What a backend is called with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address that a connection's id is added to.
    pub target: Uri,
    /// How long it has for an answer; none: as long as `UNLIMITED` allows.
    pub timeout: Option<Duration>,
    /// For how long a call is tried again.
    pub retry: Duration,
    /// The authorities that it may have its certificate from; none: the system's.
    pub ca: Option<PathBuf>,
    /// What calls are signed with.
    pub secret: Option<SigningSecret>,
}

impl Settings {
    /// How long the backend has for an answer.
    pub(super) fn limit(&self) -> Duration {
        self.timeout.unwrap_or(UNLIMITED)
    }

    /// How often an idle client is asked whether it is there.
    pub(super) fn ping_every(&self) -> Duration {
        self.timeout.unwrap_or(PING_EVERY)
    }

    /// What the backend is told of the timeout, in milliseconds.
    pub(super) fn timeout_millis(&self) -> u64 {
        self.timeout.unwrap_or_default().as_millis() as u64
    }
}
