//! Signatures of calls: that of the Standard Webhooks specification, and one of our own
//! that also covers method and path. Knows no connection.

use axum::http::uri::PathAndQuery;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac::{HMAC_SHA256, Key, sign};

use super::call::Call;
use crate::core::secret::SigningSecret;

/// What calls are signed with.
pub(super) struct Signer(Key);

impl Signer {
    pub(super) fn new(secret: &SigningSecret) -> Self {
        Self(Key::new(HMAC_SHA256, secret.bytes()))
    }

    /// The header `webhook-signature` of a call with this `webhook-id` and
    /// `webhook-timestamp` (in seconds).
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        self.sign_text(format!("{id}.{timestamp}."), body)
    }

    /// The header `roomcast-signature` of the same call.
    ///
    /// Clients choose the bodies of their messages, and `webhook-signature` covers only id,
    /// timestamp and body: a recorded message could be replayed as a notice. No part before
    /// the body contains a line feed, so different calls have different signed texts, and none
    /// equals a text of [`Signer::sign`].
    pub(super) fn sign_request(&self, timestamp: i64, call: &Call) -> String {
        let path = call.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let head = format!("{}\n{timestamp}\n{}\n{path}\n", call.id, call.method);
        self.sign_text(head, &call.body)
    }

    fn sign_text(&self, head: String, body: &[u8]) -> String {
        let signed = [head.as_bytes(), body].concat();
        format!("v1,{}", BASE64_STANDARD.encode(sign(&self.0, &signed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn a_signature_is_as_the_libraries_make_it() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let signature = Signer::new(&secret).sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
