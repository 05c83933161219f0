//! Catches panics, which are bugs, so that each ends only the work that it interrupts. Logs and
//! counts them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::error;

/// Runs `work`, which belongs to this part of the server. Returns `None` if it panics.
pub fn catch<T>(part: &'static str, work: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => Some(done),
        Err(panic) => {
            report(part, &*panic);
            None
        }
    }
}

/// Logs and counts a panic.
pub fn report(part: &'static str, panic: &(dyn Any + Send)) {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    metrics::counter!("roomcast_panics_total", "part" => part).increment(1);
    error!(
        part,
        panic = text.unwrap_or_default(),
        "a bug: this part of the server panicked"
    );
}
