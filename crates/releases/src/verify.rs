//! Whether the charts of HelmCharts are in their repositories.

use api::{
    apps::{ChartPhase, HelmChart, HelmChartStatus},
    names::helm::reasons,
};
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use helm::{Error, Helm};
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt as _, watcher},
};
use runtime::{events::Events, watch::readable};
use serde_json::json;

use crate::{
    credentials,
    trouble::Trouble,
    watched::{News, Watched, key},
};

/// Looks at every HelmChart of the parent when it is new or changed, and again after a while as long as its chart is not there.
/// At most `parallelism` at a time, `hub` is the namespace of the hub, which stands in what is told of missing rights.
///
/// A pull secret is taken from the HelmChart's own namespace only, where somebody has let the hub read it: who may write
/// HelmCharts in a namespace sees to where its credentials are sent.
///
/// # Errors
/// When the watch of the HelmCharts ends, which it does not by itself.
pub async fn verify(client: Client, helm: Helm, parallelism: usize, hub: &str) -> anyhow::Result<()> {
    let verifier =
        Verifier { events: Events::new(client.clone(), "clusternet-hub"), client: client.clone(), helm, hub };
    let verifier = &verifier;
    let config = watcher::Config::default().timeout(240);
    let events = readable::<HelmChart>(Api::all(client), config).default_backoff();
    let mut events = std::pin::pin!(events);
    let mut charts = Watched::new(news);
    let mut running: FuturesUnordered<BoxFuture<'_, (String, bool)>> = FuturesUnordered::new();
    loop {
        while running.len() < parallelism.max(1)
            && let Some((name, chart)) = charts.take()
        {
            running.push(async move { (name, verifier.look(&chart).await) }.boxed());
        }
        let next = charts.queue.next().filter(|_| running.len() < parallelism.max(1));
        tokio::select! {
            event = events.next() => drop(charts.hear(event)?),
            Some((name, is_there)) = running.next(), if !running.is_empty() => {
                charts.queue.ended(&name);
                if !is_there {
                    charts.queue.again(&name);
                }
            }
            () = crate::run::until(next), if next.is_some() => {}
        }
    }
}

/// A HelmChart is looked at if its spec is new. One that was found is so until then.
fn news(before: Option<&HelmChart>, chart: &HelmChart) -> News {
    let of = |chart: &HelmChart| (chart.uid(), chart.metadata.generation);
    let is_new = before.is_none_or(|before| of(before) != of(chart));
    let is_deleting = chart.metadata.deletion_timestamp.is_some();
    if is_new && !is_deleting { News::Look } else { News::Nothing }
}

struct Verifier<'a> {
    client: Client,
    helm: Helm,
    events: Events,
    hub: &'a str,
}

impl Verifier<'_> {
    /// Looks once, and tells; whether the chart is there and that is told.
    async fn look(&self, chart: &HelmChart) -> bool {
        let found = match self.repository(chart).await {
            Ok(repository) => {
                let options = &chart.spec.options;
                let fetched = self.helm.fetch(&repository, &options.chart, options.version.as_deref()).await;
                fetched.map(drop).map_err(|error| trouble(&error, chart))
            }
            Err(trouble) => Err(trouble),
        };
        let next = match &found {
            Ok(()) => HelmChartStatus { phase: Some(ChartPhase::Found), reason: None },
            Err(trouble) => {
                HelmChartStatus { phase: Some(ChartPhase::NotFound), reason: Some(trouble.message.clone()) }
            }
        };
        if chart.status.as_ref() != Some(&next) {
            let charts: Api<HelmChart> =
                Api::namespaced(self.client.clone(), &chart.namespace().unwrap_or_default());
            let status = json!({ "phase": next.phase, "reason": next.reason });
            let patch = json!({ "metadata": { "uid": chart.uid() }, "status": status });
            let written =
                charts.patch_status(&chart.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await;
            if let Err(error) = written {
                tracing::debug!(%error, chart = key(chart), "the status of a HelmChart could not be written");
                return false;
            }
            if let Err(trouble) = &found {
                self.events.warning(chart, reasons::CHART_NOT_FOUND, &trouble.message).await;
            }
        }
        found.is_ok()
    }

    async fn repository(&self, chart: &HelmChart) -> Result<helm::Repository, Trouble> {
        let options = &chart.spec.options;
        let mut repository = helm::Repository::new(&options.repo).map_err(|error| trouble(&error, chart))?;
        repository.plain_http = options.plain_http.unwrap_or_default();
        if let Some(wanted) = &options.chart_pull_secret {
            credentials::read(&self.client, self.hub, &chart.namespace().unwrap_or_default(), wanted)
                .await?
                .give(&mut repository);
        }
        Ok(repository)
    }
}

fn trouble(error: &Error, chart: &HelmChart) -> Trouble {
    let options = &chart.spec.options;
    let version = options.version.as_deref().unwrap_or("in its newest version");
    Trouble::of(error, &format!("The chart {} {version}", options.chart), "the hub")
}
