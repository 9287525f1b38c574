//! Waiting with a deadline.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::{Instant, Runtime};

/// The deadline passed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline passed")
    }
}

impl std::error::Error for Elapsed {}

/// Awaits `future`, but not past `deadline`. A future that is ready wins over a deadline that has
/// passed.
///
/// # Errors
/// [`Elapsed`] when the deadline passes first; the future is dropped.
pub async fn timeout_at<F: Future>(
    runtime: &dyn Runtime,
    deadline: Instant,
    future: F,
) -> Result<F::Output, Elapsed> {
    match select(pin!(future), runtime.sleep_until(deadline)).await {
        Either::Left((output, _)) => Ok(output),
        Either::Right(((), _)) => Err(Elapsed),
    }
}

/// Awaits `future` for `duration` at the most; see [`timeout_at`].
///
/// # Errors
/// [`Elapsed`] when the time passes first; the future is dropped.
pub async fn timeout<F: Future>(
    runtime: &dyn Runtime,
    duration: Duration,
    future: F,
) -> Result<F::Output, Elapsed> {
    timeout_at(runtime, runtime.now() + duration, future).await
}
