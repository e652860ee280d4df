//! Renders templates beside the threads that serve requests, a few at a time.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::parent::Refusal;

/// Renderings at the same time. Each may take all of a processor for some tens of milliseconds.
const AT_ONCE: usize = 2;

/// Whoever renders.
#[derive(Debug, Clone)]
pub(crate) struct Renderers(Arc<Semaphore>);

impl Default for Renderers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Renderers {
    /// Does the work when it is its turn. That it breaks off tells nothing about the next time.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let broken = || Refusal::Later(String::from("the rendering of a template broke off"));
        let _turn = self.0.acquire().await.map_err(|_| broken())?;
        spawn_blocking(work).await.map_err(|_| broken())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_is_done_elsewhere_and_what_breaks_off_may_work_later() {
        let renderers = Renderers::default();
        let (sender, receiver) = mpsc::channel();
        // On the thread of this test it would wait for ever.
        let (heard, ()) =
            tokio::join!(renderers.run(move || receiver.recv()), async { sender.send(7).unwrap() });
        assert_eq!(heard.unwrap(), Ok(7));
        assert!(matches!(renderers.run(|| panic!("on purpose")).await, Err::<(), _>(Refusal::Later(_))));
        assert_eq!(renderers.run(|| 8).await, Ok(8), "its turn is over");
    }
}
