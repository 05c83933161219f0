//! The body of a request: read whole, and bounded in size and time, so that nobody
//! makes the server hold what it did not ask for. Knows nothing of what is in it.

use std::pin::pin;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use tokio::time::timeout;
use tower::BoxError;

/// How long the body of a request may take: as long as its head.
pub(super) const BODY_MOST: Duration = Duration::from_secs(10);

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// It has more bytes than were wanted.
    #[error("the body is too big")]
    TooBig,
    /// It took longer than [`BODY_MOST`].
    #[error("the body took longer than {} seconds", BODY_MOST.as_secs())]
    Late,
    /// The connection broke, or what came is no body.
    #[error("the body can't be read")]
    Broken,
}

impl Unread {
    /// What HTTP says of it.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::TooBig => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a body of at most `most` bytes.
pub(super) async fn read_body<B>(body: B, most: usize) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let read = async {
        let mut body = pin!(Limited::new(body, most));
        // Collected here, a body is in memory once; gathered from its frames, twice.
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                bytes.extend_from_slice(&data);
            }
        }
        Ok::<_, BoxError>(Bytes::from(bytes))
    };
    match timeout(BODY_MOST, read).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooBig),
        Ok(Err(_)) => Err(Unread::Broken),
        Err(_) => Err(Unread::Late),
    }
}
