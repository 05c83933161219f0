//! A wait that ends. Knows nothing of what is waited for.

use std::time::{Duration, Instant};

use anyhow::ensure;

/// The longest wait for anything; a server that needs more has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A wait that ends.
pub struct Patience(Instant, &'static str);

impl Patience {
    /// For this, from now on.
    pub fn new(what: &'static str) -> Self {
        Self(Instant::now() + PATIENCE, what)
    }

    /// Looks whether it has not taken too long, with how many of them are done.
    pub fn check(&self, done: usize, of: usize) -> anyhow::Result<()> {
        let Self(until, what) = self;
        ensure!(
            Instant::now() < *until,
            "waited {} s for {what}: {done} of {of}",
            PATIENCE.as_secs()
        );
        Ok(())
    }
}
