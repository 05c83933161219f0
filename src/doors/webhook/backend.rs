//! Calls to the backend: made, signed, counted, and tried again where that helps.
//! Knows no connection: whoever calls says what, and for how long it matters.

use std::pin::pin;
use std::time::Duration;

use axum::http::{HeaderValue, Method, Request, header};
use bytes::Bytes;
use chrono::Utc;
use http_body_util::{BodyExt, Full, Limited};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::debug;
use uuid::Uuid;

use super::breaker::{Breaker, Turn};
use super::call::{Call, Failed, Unanswered};
use super::client::{CaError, Client, client};
use super::settings::{Settings, UNLIMITED};
use super::signature::Signer;
use crate::doors::decode;

/// How many messages and farewells are under way at once; the others wait their turn,
/// in the order in which they came. So many may hang before others wait.
pub(super) const DELIVERIES_MOST: usize = 256;

/// How many questions are: strangers take nothing from those who are connected.
pub(super) const QUESTIONS_MOST: usize = 64;

/// Most idle connections to the backend.
pub(super) const IDLE_MOST: usize = DELIVERIES_MOST;

/// How long what a backend says of a message it has taken may take.
const REST_OF_ANSWER: Duration = Duration::from_secs(1);

/// How much of an answer is read: the messages and rooms of a welcome.
const ANSWER_MOST: usize = 256 * 1024;

/// How long to wait before the second try, and at most before another one.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// The backend, as it is called.
pub(super) struct Backend {
    settings: Settings,
    signer: Option<Signer>,
    client: Client,
    breaker: Breaker,
    questions: Semaphore,
    deliveries: Semaphore,
}

impl Backend {
    pub(super) fn new(settings: Settings) -> Result<Self, CaError> {
        let client = client(&settings)?;
        Ok(Self {
            signer: settings.secret.as_ref().map(Signer::new),
            settings,
            client,
            breaker: Breaker::default(),
            questions: Semaphore::new(QUESTIONS_MOST),
            deliveries: Semaphore::new(DELIVERIES_MOST),
        })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Calls once, for a client that waits for the answer. Does not call if `given_up` ends
    /// first: the client is gone, or has waited for too long.
    ///
    /// The timeout of the call is twice that of the client: a backend that accepts too late
    /// believes that the client is connected, and has to be told that it is not.
    pub(super) async fn ask(
        &self,
        call: &Call,
        given_up: impl Future<Output = ()>,
    ) -> Result<Bytes, Unanswered> {
        let limit = self.settings.limit() * 2;
        let mut given_up = pin!(given_up);
        let mut tried = false;
        loop {
            let Some(turn) = self.breaker.try_pass() else {
                return Err(Unanswered::Broken("it fails for some time".to_owned()));
            };
            let place = tokio::select! {
                biased;
                () = &mut given_up => return Err(Unanswered::GivenUp),
                place = place(&turn, &self.questions) => place,
            };
            match self.attempt(turn, place, call, limit).await {
                // A kept connection may have been at its end.
                Err(failed) if failed.is_cut && !tried => tried = true,
                asked => return asked.map_err(|failed| failed.why),
            }
        }
    }

    /// Calls until it is taken, or for as long as it matters.
    ///
    /// Waiting behind other calls is no fault of the backend's, and takes nothing of
    /// that time.
    pub(super) async fn deliver(&self, call: &Call) -> Result<(), Unanswered> {
        let mut left = self.settings.retry;
        let mut wait = FIRST_WAIT;
        loop {
            let began = Instant::now();
            let Ok(turn) = timeout(left, self.breaker.pass()).await else {
                return Err(Unanswered::Broken("it fails for some time".to_owned()));
            };
            left = left.saturating_sub(began.elapsed());
            let limit = self.settings.timeout;
            let limit = limit.map_or(UNLIMITED, |limit| limit.min(left.max(FIRST_WAIT)));
            let place = place(&turn, &self.deliveries).await;
            let failed = match self.attempt(turn, place, call, limit).await {
                Ok(_) => return Ok(()),
                Err(failed) => failed,
            };
            left = left.saturating_sub(failed.after);
            // The last try shortly before the end.
            let usual = jittered(wait).min(left / 2);
            let pause = failed.retry_after.unwrap_or_default().max(usual);
            if !failed.may_pass || pause >= left || left < FIRST_WAIT {
                return Err(failed.why);
            }
            debug!(method = %call.method, why = %failed.why, "a call is tried again");
            metrics::counter!("roomcast_webhook_retries_total").increment(1);
            wait = (wait * 2).min(LONGEST_WAIT);
            left -= pause;
            sleep(pause).await;
        }
    }

    async fn attempt(
        &self,
        turn: Turn<'_>,
        place: Option<SemaphorePermit<'_>>,
        call: &Call,
        limit: Duration,
    ) -> Result<Bytes, Failed> {
        let counted = InFlight::begin();
        let began = Instant::now();
        let called = self.call(call, began + limit).await;
        drop((place, counted));
        let called = called.map_err(|failed| Failed {
            after: began.elapsed(),
            ..failed
        });
        let result = match &called {
            Ok(_) => "ok",
            Err(failed) => failed.result(),
        };
        match &called {
            Err(failed) if failed.is_outage => turn.fails(),
            // The backend was not asked: another call probes it.
            Err(failed) if failed.is_local => drop(turn),
            _ => turn.works(),
        }
        let method = call.method.to_string();
        metrics::counter!("roomcast_webhook_calls_total", "method" => method, "result" => result)
            .increment(1);
        called
    }

    async fn call(&self, call: &Call, until: Instant) -> Result<Bytes, Failed> {
        let silent = |_| Failed::silent();
        let answer = timeout_at(until, self.client.request(self.request(call))).await;
        let answer = answer.map_err(silent)?;
        let answer = answer.map_err(|error| Failed::broken(&error, error.is_connect()))?;
        let (head, body) = answer.into_parts();
        if !head.status.is_success() {
            return Err(Failed::status(head.status, &head.headers));
        }
        let body = Limited::new(body, ANSWER_MOST).collect();
        if call.method == Method::POST {
            let body = timeout_at(until, body).await.map_err(silent)?;
            let body = body.map_err(|error| Failed::broken(&*error, false))?;
            let body = body.to_bytes();
            // A body that can't be decoded is no JSON either: the caller refuses it.
            return Ok(decode(&head.headers, body.clone()).unwrap_or(body));
        }
        // It has taken the call: what it says besides is read so that the connection
        // can be used again, if it comes at once.
        let _ = timeout(REST_OF_ANSWER, body).await;
        Ok(Bytes::new())
    }

    fn request(&self, call: &Call) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.uri.clone();
        let headers = request.headers_mut();
        let mut set = |name: &'static str, value: &str| {
            let value = HeaderValue::from_str(value).expect("it is made of visible characters");
            headers.insert(name, value);
        };
        // Of this try: what is signed may not be old.
        let now = Utc::now().timestamp();
        set("content-type", call.content_type);
        // Also of nothing, where the client leaves it out.
        set("content-length", &call.body.len().to_string());
        set("webhook-id", &call.id);
        set("webhook-timestamp", &now.to_string());
        if let Some(signer) = &self.signer {
            set("webhook-signature", &signer.sign(&call.id, now, &call.body));
            set("roomcast-signature", &signer.sign_request(now, call));
        }
        if let Some(authorization) = &call.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        request
    }
}

/// Waits for a place among the calls of its kind.
async fn place<'a>(turn: &Turn<'_>, places: &'a Semaphore) -> Option<SemaphorePermit<'a>> {
    // The call that probes the backend needs no place: all others wait for it.
    match turn.tries() {
        true => None,
        false => places.acquire().await.ok(),
    }
}

/// A call that is under way, as the metrics count it: also one that is given up.
struct InFlight;

impl InFlight {
    fn begin() -> Self {
        metrics::gauge!("roomcast_webhook_calls_in_flight").increment(1);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::gauge!("roomcast_webhook_calls_in_flight").decrement(1);
    }
}

/// So much, or up to half less by chance: those who failed together don't come
/// together again.
fn jittered(wait: Duration) -> Duration {
    let chance = (Uuid::new_v4().as_u128() as u32) as f64 / f64::from(u32::MAX);
    wait.mul_f64(1.0 - chance / 2.0)
}
