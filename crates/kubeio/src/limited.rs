//! So many requests a second and no more.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::{Body, Error, Lane, Transport};

/// A transport that spares the cluster: at most `burst` requests at once and `rate` a second after that. Whoever
/// comes too early waits, first come first served.
pub struct Limited {
    inner: Arc<dyn Transport>,
    /// Time between two requests at the rate.
    interval: Duration,
    /// How far the requests may be ahead of the rate.
    ahead: Duration,
    /// When the next request would be sent if all were sent at the rate.
    due: Mutex<Instant>,
}

impl Limited {
    /// `rate` is in requests per second; below 0.001 it counts as that. `burst` is at least one.
    pub fn new(inner: Arc<dyn Transport>, rate: f64, burst: u32) -> Self {
        let interval = Duration::from_secs_f64(1.0 / rate.max(0.001));
        let ahead = interval * burst.saturating_sub(1);
        Self { inner, interval, ahead, due: Mutex::new(Instant::now()) }
    }

    /// When a request that is asked for now may be sent.
    fn turn(&self) -> Instant {
        let now = Instant::now();
        let mut due = self.due.lock();
        let mine = (*due).max(now);
        *due = mine + self.interval;
        mine.checked_sub(self.ahead).map_or(now, |turn| turn.max(now))
    }
}

impl Transport for Limited {
    fn send(&self, request: Request<Bytes>, lane: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        Box::pin(async move {
            sleep_until(self.turn()).await;
            self.inner.send(request, lane).await
        })
    }

    fn opened(&self) -> BoxFuture<'static, ()> {
        self.inner.opened()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, ok};

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let limited = Limited::new(Fake::new(|_| ok("{}")), 10.0, 5);
        let began = Instant::now();
        for number in 0..25_u32 {
            limited.send(Request::get("/").body(Bytes::new()).unwrap(), Lane::Short).await.unwrap();
            let due = Duration::from_millis(100) * number.saturating_sub(4);
            let late = began.elapsed().checked_sub(due).unwrap();
            assert!(late < Duration::from_millis(5), "request {number} came {late:?} late");
        }
    }

    /// A way that opens when it is asked for.
    struct Opening;

    impl Transport for Opening {
        fn send(&self, _: Request<Bytes>, _: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
            Box::pin(std::future::ready(Err(Error::Unreachable("closed".into()))))
        }

        fn opened(&self) -> BoxFuture<'static, ()> {
            Box::pin(std::future::ready(()))
        }
    }

    #[tokio::test]
    async fn that_the_way_has_opened_is_passed_on() {
        let limited = Limited::new(Arc::new(Opening), 10.0, 5);
        assert_eq!(futures_util::FutureExt::now_or_never(limited.opened()), Some(()));
    }
}
