//! Supervised tasks: the only place in the workspace that spawns.

use std::{borrow::Cow, future::Future, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, error, info_span, warn};

use crate::Backoff;

/// What happens to the process when a task that should never fail does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Log it and start the task again after a back-off of up to 30 s.
    Restart,
    /// Log it and shut the whole process down: others will take over.
    StopProcess,
}

/// A group of tasks with one owner and one end.
///
/// Cloning gives another handle to the same group. A [`Tasks::child`] group ends with its parent, but can be ended
/// before it: one per cluster, one per tunnel.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let tasks = runtime::Tasks::new();
/// let token = tasks.token();
/// tasks.spawn("waiter", async move { token.cancelled().await });
/// tasks.shutdown(std::time::Duration::from_secs(1)).await;
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct Tasks {
    token: CancellationToken,
    tracker: TaskTracker,
    root: CancellationToken,
    failure: Arc<Mutex<Option<anyhow::Error>>>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// A new root group. There is one per process (and one per test).
    pub fn new() -> Self {
        let token = CancellationToken::new();
        Self { root: token.clone(), token, tracker: TaskTracker::new(), failure: Arc::default() }
    }

    /// The token that tells this group's tasks to end.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// A group that ends when this one does, or earlier by its own [`Tasks::cancel`].
    pub fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
            tracker: self.tracker.clone(),
            root: self.root.clone(),
            failure: self.failure.clone(),
        }
    }

    /// Tells this group's tasks to end; returns at once.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Runs `future` until it ends or the group does, whichever is first.
    ///
    /// A task that must finish something after cancellation is spawned with [`Tasks::spawn_draining`].
    pub fn spawn<F>(&self, name: impl Into<Cow<'static, str>>, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let token = self.token.clone();
        self.spawn_draining(name, async move {
            tokio::select! {
                () = token.cancelled() => {}
                () = future => {}
            }
        })
    }

    /// Runs `future` to its own end; it watches [`Tasks::token`] itself. Shutdown waits for it up to its deadline.
    pub fn spawn_draining<F>(&self, name: impl Into<Cow<'static, str>>, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let name = name.into();
        let span = info_span!("task", %name);
        self.tracker.spawn(future.instrument(span))
    }

    /// Keeps a never-ending task alive: `make` is called again after every error, as `on_error` says. A task that
    /// returns `Ok` is done.
    pub fn supervise<M, F>(&self, name: impl Into<Cow<'static, str>>, on_error: OnError, mut make: M)
    where
        M: FnMut() -> F + Send + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let name = name.into();
        let group = self.clone();
        self.spawn(name.clone(), async move {
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
            loop {
                let started = tokio::time::Instant::now();
                let Err(cause) = make().await else { return };
                if on_error == OnError::StopProcess {
                    error!(task = %name, error = format!("{cause:#}"), "task failed, the process stops");
                    group.failure.lock().get_or_insert(cause.context(format!("task {name} failed")));
                    group.root.cancel();
                    return;
                }
                if started.elapsed() > Duration::from_secs(60) {
                    backoff.reset();
                }
                let wait = backoff.next();
                warn!(task = %name, error = format!("{cause:#}"), wait_ms = wait.as_millis() as u64, "task failed, starting it again");
                tokio::time::sleep(wait).await;
            }
        });
    }

    /// Ends the whole tree and waits for it, at most `deadline`. Returns the error of the task that stopped the
    /// process, if one did.
    pub async fn shutdown(self, deadline: Duration) -> Option<anyhow::Error> {
        self.root.cancel();
        self.tracker.close();
        if tokio::time::timeout(deadline, self.tracker.wait()).await.is_err() {
            warn!(left = self.tracker.len(), "tasks were still running at the shutdown deadline");
        }
        self.failure.lock().take()
    }

    /// Waits until the process is asked to end: SIGTERM, SIGINT, or a task that failed with
    /// [`OnError::StopProcess`].
    pub async fn until_asked_to_end(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = self.root.cancelled() => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failing_critical_task_ends_the_process_and_says_why() {
        let tasks = Tasks::new();
        tasks.supervise("broken", OnError::StopProcess, || async { anyhow::bail!("no disk") });
        tasks.token().cancelled().await;
        let failure = tasks.shutdown(Duration::from_secs(1)).await.unwrap();
        assert_eq!(format!("{failure:#}"), "task broken failed: no disk");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_task_is_started_again() {
        let tasks = Tasks::new();
        let (tries, mut seen) = tokio::sync::mpsc::channel(1);
        tasks.supervise("flaky", OnError::Restart, move || {
            let tries = tries.clone();
            async move {
                tries.send(()).await?;
                anyhow::bail!("again")
            }
        });
        for _ in 0..3 {
            seen.recv().await.unwrap();
        }
        assert!(tasks.shutdown(Duration::from_secs(1)).await.is_none());
    }

    #[tokio::test]
    async fn ending_a_child_group_leaves_its_parent_running() {
        let tasks = Tasks::new();
        let child = tasks.child();
        child.cancel();
        child.spawn("ends at once", std::future::pending()).await.unwrap();
        assert!(!tasks.token().is_cancelled());
    }
}
