//! What a hub does after it was killed, by its own count and by its parent's.

use std::{collections::BTreeMap, time::Duration};

use anyhow::ensure;

use crate::{cluster::Cluster, fleet::Fleet, install, wait};

/// What a hub that knows everything has looked at, at least.
#[derive(Debug, Default)]
pub(super) struct Expected {
    subscriptions: f64,
    bases: f64,
    pub(super) objects: f64,
}

/// A hub that has nothing to do.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    /// What it has looked at in clusters.
    pub(super) objects: f64,
}

const DEADLINE: Duration = Duration::from_secs(300);

impl Expected {
    /// What there is of the simulated clusters: the agents of the real ones look at theirs.
    pub(super) async fn read(parent: &Cluster) -> anyhow::Result<Self> {
        let count = async |kind: &str| -> anyhow::Result<f64> {
            let found = parent.kubectl_ok(&["get", kind, "-A", "-o", "name"]).await?;
            Ok(found.lines().count() as f64)
        };
        let jsonpath = "jsonpath={range .items[*]}{.metadata.namespace}{\" \"}{.status.manifestStatuses[*].name}{\"\\n\"}{end}";
        let found =
            parent.kubectl_ok(&["get", "descriptions.apps.clusternet.io", "-A", "-o", jsonpath]).await?;
        let objects = found
            .lines()
            .filter(|line| line.starts_with("bench-"))
            .map(|line| line.split_whitespace().count().saturating_sub(1) as f64)
            .sum();
        Ok(Self {
            subscriptions: count("subscriptions.apps.clusternet.io").await?,
            bases: count("bases.apps.clusternet.io").await?,
            objects,
        })
    }
}

/// Waits until the hub has looked at all that is expected, and nothing is under way or due.
pub(super) async fn until_quiet(fleet: &Fleet, expected: &Expected) -> anyhow::Result<Quiet> {
    wait::until("the hub to have looked at everything", DEADLINE, || async {
        let client = install::hub_client(fleet).await?;
        let answer = client.get("/metrics").await?;
        ensure!(answer.status() == 200, "its metrics were answered with {}", answer.status());
        let shown = shown(&String::from_utf8_lossy(answer.body()));
        let sum = |name: &str| sum(&shown, name);
        let pending = sum("clusterway_distribution_pending")
            + sum("clusterway_deployer_pending_descriptions")
            + sum("clusterway_deployer_unlisted_clusters");
        let subscriptions = sum(r#"clusterway_distribution_looks_total{kind="Subscription"}"#);
        let bases = sum(r#"clusterway_distribution_looks_total{kind="Base"}"#);
        let objects = sum("clusterway_deployer_objects_total");
        let seen = subscriptions >= expected.subscriptions && bases >= expected.bases && objects >= expected.objects;
        ensure!(
            seen && pending == 0.0,
            "{pending} are pending; looked at {subscriptions} Subscriptions, {bases} Bases, {objects} objects of {expected:?}"
        );
        Ok(Some(Quiet { objects }))
    })
    .await
}

/// The values of a page of metrics by their names with labels.
fn shown(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

/// The sum over all labels of a name, or the value of one with its labels.
fn sum(shown: &BTreeMap<String, f64>, name: &str) -> f64 {
    let of = shown.iter().filter(|(key, _)| key.as_str() == name || key.split('{').next() == Some(name));
    of.map(|(_, value)| value).sum()
}

/// Writes to the objects of way 6 and to clusters that the parent has counted, whoever made them. What a hub writes as long
/// as it lives, Leases and Events, is left out.
pub(super) async fn parent_writes(parent: &Cluster) -> anyhow::Result<f64> {
    let page = parent.kubectl_ok(&["get", "--raw", "/metrics"]).await?;
    Ok(shown(&page).iter().filter(|(name, _)| is_write(name)).map(|(_, value)| value).sum())
}

fn is_write(name: &str) -> bool {
    let has = |text: &str| name.contains(text);
    name.starts_with("apiserver_request_total{")
        && has(r#"group="apps.clusternet.io""#)
        && [r#"verb="POST""#, r#"verb="PUT""#, r#"verb="PATCH""#, r#"verb="APPLY""#, r#"verb="DELETE""#]
            .into_iter()
            .any(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_summed_over_labels_or_taken_with_them() {
        let shown = shown("# HELP a b\na{x=\"1\"} 2\na{x=\"2\"} 3\nab 7\n");
        assert_eq!((sum(&shown, "a"), sum(&shown, "a{x=\"2\"}"), sum(&shown, "ab")), (5.0, 3.0, 7.0));
    }

    #[test]
    fn only_writes_to_what_is_distributed_count() {
        let name = |group: &str, verb: &str| {
            format!("apiserver_request_total{{code=\"200\",group=\"{group}\",verb=\"{verb}\"}}")
        };
        assert!(is_write(&name("apps.clusternet.io", "PATCH")));
        assert!(
            !is_write(&name("apps.clusternet.io", "LIST")) && !is_write(&name("coordination.k8s.io", "PUT"))
        );
    }
}
