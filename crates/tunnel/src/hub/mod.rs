//! The hub's half: which tunnels are admitted, which are live, and requests through them.
//!
//! ```text
//! attach request ─► Registry::accept ─► admit (rules) ─► 101 ─► serve: a task per tunnel ─► Registry::get ─► Tunnel
//! ```
//!
//! A cluster has at most one live tunnel per replica of the hub. A tunnel is in the registry from the moment its agent
//! has answered once until it ends or begins to drain.

mod admission;
mod metrics;
mod session;
mod stream;
mod tunnel;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::RwLock;
use runtime::{Tasks, metrics::Metrics};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
};
use tracing::{Instrument as _, debug, info_span};

pub use admission::Refused;
pub(crate) use admission::version_in;
pub use stream::{ResponseBody, UpgradedIo};
pub use tunnel::{Tunnel, Upgrade};

use crate::{Features, Hello, Version, Welcome, hello::to_name, limits, ws::handshake};

/// The live tunnels of this process. Cloning gives another handle.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    tasks: Tasks,
    metrics: metrics::Metrics,
    instance: String,
    next_id: AtomicU64,
    live: RwLock<Live>,
}

#[derive(Default)]
struct Live {
    tunnels: HashMap<String, Tunnel>,
    /// Tickets that were given out and whose agent has not answered yet, by cluster.
    opening: HashMap<String, usize>,
    /// Who waits for a tunnel, by cluster.
    awaited: HashMap<String, Arc<Notify>>,
    draining: bool,
}

/// Clusters whose tunnel somebody waits for, beyond which those are forgotten that nobody waits for any more.
const MOST_UNAWAITED: usize = 64;

/// Permission to open a tunnel, after which the upgrade is granted. A cluster has only a few at a time.
pub struct Ticket {
    cluster: String,
    hello: Hello,
    registry: Registry,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut live = self.registry.inner.live.write();
        if let Some(opening) = live.opening.get_mut(&self.cluster) {
            *opening -= 1;
            if *opening == 0 {
                live.opening.remove(&self.cluster);
            }
        }
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket")
            .field("cluster", &self.cluster)
            .field("hello", &self.hello)
            .finish_non_exhaustive()
    }
}

impl Registry {
    /// Tunnels run in `tasks`, and drain when that group ends. `instance` is unique per process; agents are told, so
    /// that they know which replica they reached.
    pub fn new(tasks: Tasks, metrics: &Metrics, instance: impl Into<String>) -> Self {
        Self {
            inner: Arc::new(Inner {
                tasks,
                metrics: metrics::Metrics::new(metrics),
                instance: to_name(&instance.into()),
                next_id: AtomicU64::new(0),
                live: RwLock::default(),
            }),
        }
    }

    /// Answers an authorised request for a tunnel of `cluster`: reads its headers, applies the rules, and returns the
    /// 101 after which the tunnel lives. The rest runs in a task of its own.
    pub fn accept<B>(
        &self,
        cluster: &str,
        request: &mut Request<B>,
    ) -> Result<Response<crate::Body>, Refused> {
        let refuse = |why: Refused| {
            self.inner.metrics.refused(&why);
            why
        };
        let hello = Hello::try_from(request.headers()).map_err(|error| refuse(error.into()))?;
        let key =
            handshake::asked(request.headers()).ok_or_else(|| refuse(Refused::NotWebSocket))?.to_owned();
        let ticket = self.admit(cluster, &hello)?;
        let mut response = Response::new(crate::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        handshake::grant(response.headers_mut(), &key);
        self.welcome().write(response.headers_mut())?;

        let upgrade = hyper::upgrade::on(request);
        let registry = self.clone();
        self.inner.tasks.spawn(format!("upgrade of the tunnel of {cluster}"), async move {
            match tokio::time::timeout(limits::READY_TIMEOUT, upgrade).await {
                Ok(Ok(io)) => registry.serve(ticket, TokioIo::new(io)),
                Ok(Err(error)) => {
                    debug!(cluster = ticket.cluster, %error, "the agent went away during the upgrade");
                }
                Err(_) => debug!(cluster = ticket.cluster, "the upgrade of a tunnel was never completed"),
            }
        });
        Ok(response)
    }

    /// What this hub says of itself, in the headers of a 101.
    pub fn welcome(&self) -> Welcome {
        let hub_instance = self.inner.instance.clone();
        Welcome { version: Version::OURS, features: Features::ours(), hub_instance }
    }

    /// Whether an agent may open a tunnel for `cluster` now: a higher epoch replaces a lower one, an instance may
    /// come again, and another instance of the same epoch is refused.
    pub fn admit(&self, cluster: &str, hello: &Hello) -> Result<Ticket, Refused> {
        self.check(cluster, hello).inspect_err(|refused| self.inner.metrics.refused(refused))?;
        Ok(Ticket { cluster: cluster.to_owned(), hello: hello.clone(), registry: self.clone() })
    }

    fn check(&self, cluster: &str, hello: &Hello) -> Result<(), Refused> {
        let mut live = self.inner.live.write();
        if live.draining {
            return Err(Refused::Draining);
        }
        admission::decide(live.tunnels.get(cluster).map(Tunnel::hello), hello)?;
        let opening = live.opening.entry(cluster.to_owned()).or_default();
        if *opening >= limits::OPENING {
            return Err(Refused::Opening(*opening));
        }
        *opening += 1;
        Ok(())
    }

    /// Runs the tunnel over `io`, the bytes behind the 101, in a task of its own. It is in the registry as soon as
    /// its agent has answered.
    pub fn serve(&self, ticket: Ticket, io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let Ticket { cluster, hello, .. } = &ticket;
        let span = info_span!("tunnel", %cluster, instance = hello.instance, epoch = hello.epoch);
        let name = format!("tunnel of {cluster}");
        let life = session::run(ticket, io);
        self.inner.tasks.spawn_draining(name, life.instrument(span));
    }

    /// The live tunnel of a cluster.
    pub fn get(&self, cluster: &str) -> Option<Tunnel> {
        self.inner.live.read().tunnels.get(cluster).cloned()
    }

    /// Waits for the next tunnel of a cluster to open, from this call on. Whoever finds none live asks for this first and
    /// looks then, and misses nothing.
    pub fn opened(&self, cluster: &str) -> impl Future<Output = ()> + Send + 'static {
        let mut live = self.inner.live.write();
        // Nobody waits any more for what was asked for and dropped.
        if live.awaited.len() > MOST_UNAWAITED && !live.awaited.contains_key(cluster) {
            live.awaited.retain(|_, waiting| Arc::strong_count(waiting) > 1);
        }
        let waiting = live.awaited.entry(cluster.to_owned()).or_default();
        Arc::clone(waiting).notified_owned()
    }

    /// How many tunnels are live.
    pub fn count(&self) -> usize {
        self.inner.live.read().tunnels.len()
    }

    /// The ids of the clusters with a live tunnel, in no order.
    pub fn clusters(&self) -> Vec<String> {
        self.inner.live.read().tunnels.keys().cloned().collect()
    }

    /// Admits no new tunnel, lets what runs finish (at most 10 s), and closes every tunnel; agents go to another
    /// replica. Returns when all are closed.
    pub async fn drain(&self) {
        let tunnels: Vec<Tunnel> = {
            let mut live = self.inner.live.write();
            live.draining = true;
            live.tunnels.values().cloned().collect()
        };
        for tunnel in &tunnels {
            tunnel.retire();
        }
        futures_util::future::join_all(tunnels.iter().map(Tunnel::closed)).await;
    }

    /// Puts a proven tunnel in, in place of the one it replaces. The rules are applied again: two agents may have
    /// been admitted at the same time.
    fn enter(&self, tunnel: &Tunnel) -> Result<Option<Tunnel>, Refused> {
        let mut live = self.inner.live.write();
        if live.draining {
            return Err(Refused::Draining);
        }
        admission::decide(live.tunnels.get(tunnel.cluster()).map(Tunnel::hello), tunnel.hello())?;
        let replaced = live.tunnels.insert(tunnel.cluster().to_owned(), tunnel.clone());
        if let Some(waiting) = live.awaited.remove(tunnel.cluster()) {
            waiting.notify_waiters();
        }
        Ok(replaced)
    }

    /// Takes a tunnel out, unless another has taken its place.
    fn leave(&self, tunnel: &Tunnel) {
        let mut live = self.inner.live.write();
        if live.tunnels.get(tunnel.cluster()).is_some_and(|current| current.id() == tunnel.id()) {
            live.tunnels.remove(tunnel.cluster());
        }
    }

    fn next_id(&self) -> u64 {
        self.inner.next_id.fetch_add(1, Ordering::Relaxed)
    }
}
