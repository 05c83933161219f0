//! One call of the backend, and the ways in which one fails. Knows no connection and
//! not how calls are made.

use std::error::Error;
use std::io;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use bytes::Bytes;
use rustix::io::Errno;
use uuid::Uuid;

/// One call: the same each time it is tried.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) uri: Uri,
    /// What the client has sent as `Authorization`.
    pub(super) authorization: Option<HeaderValue>,
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
    /// The same each time it is tried.
    pub(super) id: String,
}

impl Call {
    pub(super) fn new(
        method: Method,
        uri: Uri,
        authorization: Option<HeaderValue>,
        content_type: &'static str,
        body: Bytes,
    ) -> Self {
        Self {
            method,
            uri,
            authorization,
            content_type,
            body,
            id: format!("msg_{}", Uuid::new_v4().simple()),
        }
    }
}

/// Why there is no answer that counts.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// It can't be reached, or breaks off.
    #[error("the backend can't be reached: {0}")]
    Broken(String),
    /// It takes too long.
    #[error("the backend does not answer in time")]
    Silent,
    /// The client stopped waiting before the backend was asked.
    #[error("the client left or waited too long before the backend was asked")]
    GivenUp,
    /// It answers with this.
    #[error("the backend answers {0}")]
    Status(StatusCode),
}

/// How one try failed.
pub(super) struct Failed {
    pub(super) why: Unanswered,
    /// Whether it may be otherwise the next time.
    pub(super) may_pass: bool,
    /// Whether the backend can't be reached at all: what it answers, and how long it
    /// takes for that, may be the matter of one call.
    pub(super) is_outage: bool,
    /// Whether this machine failed to open a connection, which is no failure of the backend.
    pub(super) is_local: bool,
    /// Whether the connection ended before the answer.
    pub(super) is_cut: bool,
    /// After how long.
    pub(super) after: Duration,
    /// When it wants to be asked again.
    pub(super) retry_after: Option<Duration>,
}

impl Failed {
    fn new(why: Unanswered) -> Self {
        Self {
            why,
            may_pass: true,
            is_outage: false,
            is_local: false,
            is_cut: false,
            after: Duration::ZERO,
            retry_after: None,
        }
    }

    pub(super) fn silent() -> Self {
        Self::new(Unanswered::Silent)
    }

    pub(super) fn broken(error: &(dyn Error + 'static), at_connecting: bool) -> Self {
        let mut deepest = error;
        let mut is_local = is_of_this_machine(error);
        while let Some(cause) = deepest.source() {
            deepest = cause;
            is_local |= is_of_this_machine(cause);
        }
        let why = match is_local {
            true => format!("{deepest} (on this machine, not the backend)"),
            false => deepest.to_string(),
        };
        Self {
            is_outage: at_connecting && !is_local,
            is_local,
            is_cut: !at_connecting,
            ..Self::new(Unanswered::Broken(why))
        }
    }

    pub(super) fn status(status: StatusCode, headers: &HeaderMap) -> Self {
        let is_busy = status == StatusCode::TOO_MANY_REQUESTS;
        let retry_after = headers.get(header::RETRY_AFTER);
        let seconds = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        Self {
            may_pass: is_busy || status.is_server_error(),
            retry_after: seconds.map(Duration::from_secs),
            ..Self::new(Unanswered::Status(status))
        }
    }

    /// The word for metrics.
    pub(super) fn result(&self) -> &'static str {
        match self.why {
            Unanswered::Broken(_) if self.is_local => "local",
            Unanswered::Broken(_) => "broken",
            Unanswered::Silent | Unanswered::GivenUp => "silent",
            Unanswered::Status(_) => "refused",
        }
    }
}

/// Errors of connect(2) and socket(2) when this machine is at a limit: open files of the
/// process or the system, memory, or ports.
const LIMITS: [Errno; 5] = [
    Errno::MFILE,
    Errno::NFILE,
    Errno::NOBUFS,
    Errno::NOMEM,
    Errno::ADDRNOTAVAIL,
];

fn is_of_this_machine(error: &(dyn Error + 'static)) -> bool {
    let system = error.downcast_ref::<io::Error>();
    let code = system.and_then(io::Error::raw_os_error);
    code.is_some_and(|code| LIMITS.iter().any(|limit| limit.raw_os_error() == code))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wraps an error of the system as HTTP clients do.
    #[derive(Debug, thiserror::Error)]
    #[error("tcp connect error")]
    struct Connecting(#[source] io::Error);

    #[test]
    fn the_limits_of_this_machine_are_no_outage_of_the_backend() {
        for (errno, is_local, result) in [
            (Errno::MFILE, true, "local"),
            (Errno::NFILE, true, "local"),
            (Errno::NOBUFS, true, "local"),
            (Errno::ADDRNOTAVAIL, true, "local"),
            (Errno::CONNREFUSED, false, "broken"),
            (Errno::HOSTUNREACH, false, "broken"),
        ] {
            let error = Connecting(io::Error::from_raw_os_error(errno.raw_os_error()));
            let failed = Failed::broken(&error, true);
            assert_eq!(failed.is_local, is_local, "{errno}");
            assert_eq!(failed.is_outage, !is_local, "{errno}");
            assert!(failed.may_pass);
            assert_eq!(failed.result(), result);
        }
    }
}
