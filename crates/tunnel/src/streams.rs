//! Where the tasks of one tunnel live.

use std::future::Future;

use runtime::{CancellationToken, Tasks};

/// Runs hyper's tasks of one tunnel in the owner's group; all of them end at once when the tunnel is killed.
#[derive(Debug, Clone)]
pub(crate) struct Executor {
    tasks: Tasks,
    kill: CancellationToken,
}

impl Executor {
    pub(crate) fn new(tasks: Tasks, kill: CancellationToken) -> Self {
        Self { tasks, kill }
    }
}

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let kill = self.kill.clone();
        // Not `spawn`: when the group ends, running requests may finish; the tunnel's own task sets the deadline.
        self.tasks.spawn_draining("tunnel stream", async move {
            tokio::select! {
                biased;
                () = kill.cancelled() => {}
                () = future => {}
            }
        });
    }
}
