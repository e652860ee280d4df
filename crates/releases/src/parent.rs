//! The parent's side: HelmReleases and their status, credentials, Events.

use api::{
    apps::{Description, HelmRelease, HelmReleaseStatus},
    names::{self, apps::finalizers::APPS, helm::CREDENTIALS},
};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
};
use runtime::events::Events;
use serde_json::{Value, json};

use crate::{
    credentials::{self, Pull},
    run::{Credentials, Options},
    trouble::Trouble,
    wanted::Place,
};

/// The parent, for the HelmReleases of one dedicated namespace.
pub(crate) struct Parent {
    pub(crate) releases: Api<HelmRelease>,
    secrets: Api<Secret>,
    pub(crate) events: Events,
    client: Client,
    credentials: Credentials,
    namespace: String,
}

impl Parent {
    pub(crate) fn new(client: Client, options: &Options) -> Self {
        let namespace = options.namespace.as_str();
        Self {
            releases: Api::namespaced(client.clone(), namespace),
            secrets: Api::namespaced(client.clone(), namespace),
            events: Events::new(client.clone(), options.program),
            client,
            credentials: options.credentials.clone(),
            namespace: namespace.to_owned(),
        }
    }

    /// Notes that something is going to be installed at a place, with the finalizer that lets us remove it again.
    pub(crate) async fn record(&self, release: &HelmRelease, place: &Place) -> kube::Result<HelmRelease> {
        let is_there = release.finalizers().iter().any(|finalizer| finalizer == APPS);
        if is_there && Place::installed(release).as_ref() == Some(place) {
            return Ok(release.clone());
        }
        let mut finalizers = release.finalizers().to_vec();
        if !is_there {
            finalizers.push(APPS.to_owned());
        }
        let annotations = json!({ api::names::helm::annotations::INSTALLED_AS: place.record() });
        self.patch(release, &json!({ "finalizers": finalizers, "annotations": annotations })).await
    }

    /// Lets a deleted HelmRelease go.
    pub(crate) async fn let_go(&self, release: &HelmRelease) -> kube::Result<()> {
        let others: Vec<_> = release.finalizers().iter().filter(|finalizer| *finalizer != APPS).collect();
        match self.patch(release, &json!({ "finalizers": others })).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(other) => Err(other),
        }
    }

    async fn patch(&self, release: &HelmRelease, metadata: &Value) -> kube::Result<HelmRelease> {
        let mut metadata = metadata.clone();
        metadata["uid"] = json!(release.uid());
        metadata["resourceVersion"] = json!(release.resource_version());
        let patch = json!({ "metadata": metadata });
        self.releases.patch(&release.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await
    }

    /// Writes the status, if it is another one.
    pub(crate) async fn tell(
        &self,
        release: &HelmRelease,
        next: &HelmReleaseStatus,
    ) -> kube::Result<HelmRelease> {
        if release.status.as_ref().is_some_and(|before| before == next) {
            return Ok(release.clone());
        }
        let mut status = json!(next);
        for field in
            ["firstDeployed", "lastDeployed", "description", "phase", "notes", "version", "conditions"]
        {
            if status.get(field).is_none() {
                status[field] = Value::Null;
            }
        }
        let patch = json!({ "metadata": { "uid": release.uid() }, "status": status });
        self.releases.patch_status(&release.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await
    }

    /// The repository of a chart, with the credentials this HelmRelease needs.
    pub(crate) async fn repository(&self, release: &HelmRelease) -> Result<helm::Repository, Trouble> {
        let options = &release.spec.options;
        let mut repository = helm::Repository::new(&options.repo)
            .map_err(|error| Trouble::of(&error, &format!("The chart {}", options.chart), "the cluster"))?;
        repository.plain_http = options.plain_http.unwrap_or_default();
        let Some(wanted) = options.chart_pull_secret.as_ref().and_then(|secret| secret.name.as_deref())
        else {
            return Ok(repository);
        };
        let pull = match &self.credentials {
            Credentials::Copied => self.copied(release).await,
            Credentials::PullSecrets { hub } => self.original(release, hub).await?,
        };
        pull.ok_or_else(|| Trouble::credentials(wanted, &self.namespace))?.give(&mut repository);
        Ok(repository)
    }

    /// The credentials that the hub has copied for a HelmRelease.
    async fn copied(&self, release: &HelmRelease) -> Option<Pull> {
        let secret = self.secrets.get_opt(CREDENTIALS).await.ok().flatten();
        let entry = secret.and_then(|secret| secret.data?.remove(&release.name_any()))?;
        serde_json::from_slice(&entry.0).ok()
    }

    /// The credentials where they are: beside the HelmChart that a HelmRelease was made of.
    async fn original(&self, release: &HelmRelease, hub: &str) -> Result<Option<Pull>, Trouble> {
        let descriptions: Api<Description> = Api::namespaced(self.client.clone(), &self.namespace);
        for owner in release.owner_references() {
            let Ok(Some(description)) = descriptions.get_opt(&owner.name).await else { continue };
            let charts = &description.spec.charts;
            let chart = charts.iter().find(|chart| {
                let name = names::apps::helm_release(&owner.name, &chart.namespace, &chart.name);
                name == release.name_any()
            });
            if let Some(chart) = chart.filter(|_| description.uid().as_ref() == Some(&owner.uid)) {
                let pull =
                    credentials::of_chart(&self.client, hub, release, &chart.namespace, &chart.name).await?;
                return Ok(Some(pull));
            }
        }
        Ok(None)
    }
}
