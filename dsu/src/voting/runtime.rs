//! The seam of `openraft` to tasks, time and chance, on ours: so the log runs in the simulator as the rest does.

use std::fmt;
use std::future::Future;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use midflight_runtime::{BoxFuture, current};
use openraft::async_runtime::{AsyncOneshotSendExt, AsyncRuntime};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Whatever runs the calling task.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ours;

/// A task was broken off.
#[derive(Debug, thiserror::Error)]
#[error("the task was broken off")]
pub(crate) struct BrokenOff;

/// A deadline has passed.
#[derive(Debug, thiserror::Error)]
#[error("the deadline has passed")]
pub(crate) struct TooLate;

/// A task's end.
pub(crate) struct Joined<T>(oneshot::Receiver<T>);

impl<T> Future for Joined<T> {
    type Output = Result<T, BrokenOff>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(|_gone| BrokenOff)
    }
}

/// A time that is waited for. The lock is never taken: it makes the future one that can be shared.
pub(crate) struct Sleep(Mutex<BoxFuture<()>>);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.get_mut().as_mut().poll(cx)
    }
}

/// A future with a deadline.
pub(crate) struct Within<F> {
    future: Pin<Box<F>>,
    sleep: Sleep,
}

impl<F: Future> Future for Within<F> {
    type Output = Result<F::Output, TooLate>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut self.sleep).poll(cx).map(|()| Err(TooLate))
    }
}

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(midflight_runtime::Instant);

impl openraft::Instant for Moment {
    fn now() -> Self {
        Self(current().now())
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(midflight_runtime::Instant::from_nanos(self.0.as_nanos().saturating_sub(nanos)))
    }
}

impl Sub for Moment {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.0.since(earlier.0)
    }
}

impl SubAssign<Duration> for Moment {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

/// The runtime's chance.
pub(crate) struct Chance;

impl rand_core::RngCore for Chance {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        current().fill_random(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        current().random_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        current().fill_random(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// The near end of a channel for one value.
pub(crate) struct Once<T>(oneshot::Sender<T>);

impl<T> fmt::Debug for Once<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Once")
    }
}

impl<T: Send> AsyncOneshotSendExt<T> for Once<T> {
    fn send(self, value: T) -> Result<(), T> {
        self.0.send(value)
    }
}

impl AsyncRuntime for Ours {
    type JoinError = BrokenOff;
    type JoinHandle<T: Send + 'static> = Joined<T>;
    type Sleep = Sleep;
    type Instant = Moment;
    type TimeoutError = TooLate;
    type Timeout<R, T: Future<Output = R> + Send> = Within<T>;
    type ThreadLocalRng = Chance;
    type OneshotSender<T: Send> = Once<T>;
    type OneshotReceiverError = oneshot::error::RecvError;
    type OneshotReceiver<T: Send> = oneshot::Receiver<T>;

    fn spawn<T>(future: T) -> Joined<T::Output>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let task = async move {
            // Whoever waits for it may have gone.
            let _ = tell.send(future.await);
        };
        current().spawn_boxed("log", Box::pin(task));
        Joined(told)
    }

    fn sleep(duration: Duration) -> Sleep {
        Sleep(Mutex::new(current().sleep(duration)))
    }

    fn sleep_until(deadline: Moment) -> Sleep {
        Sleep(Mutex::new(current().sleep_until(deadline.0)))
    }

    fn timeout<R, F: Future<Output = R> + Send>(duration: Duration, future: F) -> Within<F> {
        Within { future: Box::pin(future), sleep: Self::sleep(duration) }
    }

    fn timeout_at<R, F: Future<Output = R> + Send>(deadline: Moment, future: F) -> Within<F> {
        Within { future: Box::pin(future), sleep: Self::sleep_until(deadline) }
    }

    fn is_panic(_error: &BrokenOff) -> bool {
        false
    }

    fn thread_rng() -> Chance {
        Chance
    }

    fn oneshot<T: Send>() -> (Once<T>, oneshot::Receiver<T>) {
        let (tell, told) = oneshot::channel();
        (Once(tell), told)
    }
}
