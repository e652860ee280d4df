//! Waiting for a condition, with a deadline and a reason when it does not come.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use anyhow::anyhow;

/// Time between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks `condition` until it answers `Some`, at most for `deadline`. `what` completes the sentence "waited … for".
///
/// An error of `condition` means "not yet"; the last one is told when the deadline passes.
pub async fn until<T, F>(
    what: impl std::fmt::Display,
    deadline: Duration,
    mut condition: impl FnMut() -> F,
) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    let began = Instant::now();
    let mut last: Option<anyhow::Error> = None;
    loop {
        let left = deadline.saturating_sub(began.elapsed());
        match tokio::time::timeout(left.max(PAUSE), condition()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => last = None,
            Ok(Err(cause)) => last = Some(cause),
            Err(_) => last = last.or_else(|| Some(anyhow!("the last attempt did not answer"))),
        }
        if began.elapsed() >= deadline {
            let waited = format!("waited {:.0} s for {what}", deadline.as_secs_f64());
            return Err(match last {
                Some(cause) => cause.context(waited),
                None => anyhow!(waited),
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// As [`until`], for a plain yes or no.
pub async fn until_true<F>(
    what: impl std::fmt::Display,
    deadline: Duration,
    mut condition: impl FnMut() -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<bool>>,
{
    until(what, deadline, || {
        let answer = condition();
        async move { Ok(answer.await?.then_some(())) }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_comes_true_ends_the_wait_with_its_value() {
        let mut asked = 0;
        let value = until("three", Duration::from_secs(5), || {
            asked += 1;
            let now = asked;
            async move { Ok((now == 3).then_some(now)) }
        })
        .await;
        assert_eq!(value.ok(), Some(3));
    }

    #[tokio::test]
    async fn a_deadline_tells_what_was_waited_for_and_the_last_error() {
        let error =
            until::<(), _>("rain", Duration::from_millis(150), || async { Err(anyhow!("sunshine")) }).await;
        assert_eq!(format!("{:#}", error.unwrap_err()), "waited 0 s for rain: sunshine");
    }
}
