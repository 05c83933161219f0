//! The settings of calls to the backend: address, time limits, certificates and signature.

use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;

use crate::core::secret::SigningSecret;

/// How long a call may take if `--ws-timeout` is 0 (no limit): the longest time that the option
/// allows. A call that never ended would block others for good.
pub(super) const UNLIMITED: Duration = Duration::from_secs(600);

/// The longest interval of pings to an idle client, also if `--ws-timeout` is longer or 0: the
/// default of that option. The server closes a client that answers neither of two pings.
const PING_EVERY: Duration = Duration::from_secs(30);

/// The settings of calls to the backend.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address to which a connection's id is appended.
    pub target: Uri,
    /// How long the backend has for an answer; `None` means as long as `UNLIMITED` allows.
    pub timeout: Option<Duration>,
    /// For how long a failed call is repeated.
    pub retry: Duration,
    /// The authorities that may have signed the backend's certificate; `None` means the system's.
    pub ca: Option<PathBuf>,
    /// The secret that signs calls.
    pub secret: Option<SigningSecret>,
}

impl Settings {
    /// How long the backend has for an answer.
    pub(super) fn limit(&self) -> Duration {
        self.timeout.unwrap_or(UNLIMITED)
    }

    /// The interval of pings to an idle client.
    pub(super) fn ping_every(&self) -> Duration {
        self.timeout.map_or(PING_EVERY, |own| own.min(PING_EVERY))
    }

    /// The timeout in the `POST` to the backend, in milliseconds; 0 means no limit.
    pub(super) fn timeout_millis(&self) -> u64 {
        self.timeout.unwrap_or_default().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_clients_are_pinged_often_enough_to_find_one_that_vanished() {
        let millis = Duration::from_millis;
        for (timeout, expected) in [
            (None, millis(30_000)),
            (Some(millis(100)), millis(100)),
            (Some(millis(30_000)), millis(30_000)),
            (Some(millis(600_000)), millis(30_000)),
        ] {
            let settings = Settings {
                target: Uri::default(),
                timeout,
                retry: Duration::ZERO,
                ca: None,
                secret: None,
            };
            assert_eq!(settings.ping_every(), expected, "{timeout:?}");
        }
    }
}
