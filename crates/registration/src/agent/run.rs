//! The agent's life: lead, enrol, then renew and report until the credential is refused.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use jiff::Timestamp;
use kube::Client;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use runtime::{OnError, Tasks, events::Events, lease::Leadership, metrics::Metrics};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};
use tracing::{info, warn};

use super::{
    collect::{self, Observation},
    enroll, identity, nodes,
    options::{Invalid, Options},
    parent::{self, ParentCredentials},
    renew,
    report::{Parent, Reporter},
    secret::{Keeper, Memory},
};

/// Health is looked at this often at least: a change is reported within 5 s.
const LOOK_EVERY: Duration = Duration::from_secs(4);
/// Nodes are read again this often, should a watch event have been lost.
const SURVEY_EVERY: Duration = Duration::from_secs(600);
/// Changes of nodes that come together are reported together.
const GATHER: Duration = Duration::from_secs(1);
/// How often our request in the parent is looked for.
const RESTORE_EVERY: Duration = Duration::from_secs(30);
/// How long to wait after a renewal failed.
const RENEW_AGAIN: Duration = Duration::from_secs(30);

/// What the program gets to know of the registration.
#[derive(Clone)]
pub struct Handle {
    credentials: watch::Receiver<Option<ParentCredentials>>,
}

impl Handle {
    /// What a tunnel is opened with; `None` while this agent does not lead or is not registered. Changes with every
    /// new token.
    pub fn credentials(&self) -> watch::Receiver<Option<ParentCredentials>> {
        self.credentials.clone()
    }
}

struct Agent {
    child: Client,
    events: Events,
    options: Options,
    credentials: watch::Sender<Option<ParentCredentials>>,
    nodes_changed: Arc<Notify>,
    registered: Gauge,
    reports_failed: Counter,
    renewals_failed: Counter,
}

/// Registers the cluster of `child` and reports for it, as long as this agent leads.
pub fn start(
    tasks: &Tasks,
    child: Client,
    leadership: watch::Receiver<Leadership>,
    options: Options,
    metrics: &Metrics,
) -> Result<Handle, Invalid> {
    options.check()?;
    let (sender, credentials) = watch::channel(None);
    let agent = Arc::new(Agent {
        events: Events::new(child.clone(), "clusternet-agent"),
        child,
        options,
        credentials: sender,
        nodes_changed: Arc::default(),
        registered: metrics.add(
            "clusterway_agent_registered",
            "1 while registered with the parent",
            Gauge::default(),
        ),
        reports_failed: metrics.add(
            "clusterway_agent_reports_failed",
            "Reports the parent did not take",
            Counter::default(),
        ),
        renewals_failed: metrics.add(
            "clusterway_agent_renewals_failed",
            "Renewals of the token that failed",
            Counter::default(),
        ),
    });
    let watching = agent.clone();
    let following = leadership.clone();
    tasks.supervise("watch on nodes", OnError::Restart, move || {
        let (agent, mut leadership) = (watching.clone(), following.clone());
        async move {
            leadership.wait_for(|leadership| leadership.held).await?;
            nodes::watch(&agent.child, &agent.options.aggregate_prefixes, &agent.nodes_changed).await
        }
    });
    tasks.supervise("registration", OnError::Restart, move || {
        let (agent, mut leadership) = (agent.clone(), leadership.clone());
        async move {
            loop {
                leadership.wait_for(|leadership| leadership.held).await?;
                let mut lost = leadership.clone();
                let ended = tokio::select! {
                    ended = agent.lead() => ended,
                    _ = lost.wait_for(|leadership| !leadership.held) => Ok(()),
                };
                agent.credentials.send_replace(None);
                agent.registered.set(0);
                ended?;
            }
        }
    });
    Ok(Handle { credentials })
}

impl Agent {
    /// Everything a leader does. Ends only with an error.
    async fn lead(&self) -> anyhow::Result<()> {
        let options = &self.options;
        let id = identity::cluster_id(&self.child, &options.lease_namespace, &options.lease_name)
            .await
            .context("the cluster's identity")?;
        let keeper = Keeper::new(&self.child, &options.lease_namespace, &id);
        let mut memory = enroll::prepare(options, &keeper).await?;
        let mut refused: Option<String> = None;
        loop {
            if memory.token.is_none() {
                memory =
                    enroll::register(options, &keeper, &self.events, &id, memory, refused.as_deref()).await?;
            }
            let refusal = self.steady(&keeper, &id, &mut memory).await?;
            self.credentials.send_replace(None);
            self.registered.set(0);
            warn!(%refusal, "the parent does not take our credential any more: asking for a new one");
            refused = memory.token.take();
        }
    }

    /// Renews and reports. Returns when the parent does not know our token any more.
    async fn steady(&self, keeper: &Keeper, id: &str, memory: &mut Memory) -> anyhow::Result<String> {
        let mut parent = self.connect(id, memory)?;
        self.registered.set(1);
        let mut seen = collect::constants(&self.options);
        let mut reporter = Reporter::default();
        let mut renew_at = due(memory);
        let mut survey_at = Instant::now();
        let mut restore_at = Instant::now();
        let look_every = self.options.collect_period.min(LOOK_EVERY);
        loop {
            if Instant::now() >= renew_at {
                match self.renew(keeper, memory, &parent).await {
                    Ok(()) => {
                        parent = self.connect(id, memory)?;
                        renew_at = due(memory);
                        info!("the token was renewed");
                    }
                    Err(Renewal::Refused(text)) => return Ok(text),
                    Err(Renewal::Failed(error)) => {
                        self.renewals_failed.inc();
                        warn!(error = format!("{error:#}"), "the token could not be renewed yet");
                        renew_at = Instant::now() + RENEW_AGAIN;
                    }
                }
            }
            collect::health(&self.child, &mut seen).await;
            if Instant::now() >= survey_at {
                collect::survey(&self.child, &self.options, &mut seen).await;
                survey_at = Instant::now() + SURVEY_EVERY;
            }
            match self.report(&parent, id, memory, &mut reporter, &seen).await {
                Ok(()) => {}
                Err(error) if parent::is_unauthorized(&error) => return Ok(error.to_string()),
                Err(error) => {
                    self.reports_failed.inc();
                    warn!(
                        error = format!("{:#}", parent::explain(error, &self.options.parent_url)),
                        "the parent did not take our report"
                    );
                }
            }
            if Instant::now() >= restore_at {
                restore_at = Instant::now() + RESTORE_EVERY;
                if let Err(error) = enroll::restore(&parent, &self.options, id, memory).await {
                    warn!(
                        error = format!("{error:#}"),
                        "the registration request is gone and cannot be made again"
                    );
                }
            }
            tokio::select! {
                () = sleep_until(Instant::now() + look_every) => {}
                () = sleep_until(renew_at) => {}
                () = self.nodes_changed.notified() => {
                    tokio::time::sleep(GATHER).await;
                    survey_at = Instant::now();
                }
            }
        }
    }

    async fn report(
        &self,
        client: &Client,
        cluster_id: &str,
        memory: &Memory,
        reporter: &mut Reporter,
        seen: &Observation,
    ) -> kube::Result<()> {
        let parent = Parent {
            client,
            cluster_id,
            namespace: memory.namespace.as_deref().unwrap_or_default(),
            name: memory.name.as_deref().unwrap_or_default(),
            labels: &self.options.labels,
        };
        match reporter.report(&parent, seen, self.options.report_period).await {
            // The hub wrote at the same moment: read again and try once more.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                reporter.report(&parent, seen, self.options.report_period).await
            }
            other => other,
        }
    }

    async fn renew(&self, keeper: &Keeper, memory: &mut Memory, parent: &Client) -> Result<(), Renewal> {
        let namespace = memory.namespace.clone().unwrap_or_default();
        let token = match renew::token(parent, &namespace).await {
            Ok(token) => token,
            Err(error) if parent::is_unauthorized(&error) => return Err(Renewal::Refused(error.to_string())),
            Err(error) => return Err(Renewal::Failed(parent::explain(error, &self.options.parent_url))),
        };
        memory.token = Some(token);
        // Not stored is not lost: the token in use is good, and the next renewal stores again.
        keeper.write(memory).await.map_err(|error| Renewal::Failed(error.into()))
    }

    /// A client with the current token, and the same for the tunnel.
    fn connect(&self, id: &str, memory: &Memory) -> anyhow::Result<Client> {
        let roots = memory.roots().context("the Secret parent-cluster holds no CA of the parent")?;
        let client = parent::client(&self.options.parent_url, &roots, memory.token.as_deref())?;
        self.credentials.send_replace(Some(ParentCredentials {
            client: client.clone(),
            url: self.options.parent_url.clone(),
            tls: Arc::new(parent::tls(&roots)?),
            token: memory.token.clone().unwrap_or_default(),
            cluster_id: id.to_owned(),
            namespace: memory.namespace.clone().unwrap_or_default(),
            name: memory.name.clone().unwrap_or_default(),
        }));
        Ok(client)
    }
}

enum Renewal {
    Refused(String),
    Failed(anyhow::Error),
}

fn due(memory: &Memory) -> Instant {
    Instant::now() + renew::wait(memory.token.as_deref().unwrap_or_default(), Timestamp::now().as_second())
}
