//! From a Description of charts to its HelmReleases, and back from their status to its own. Pure.

use std::collections::BTreeMap;

use api::{
    apps::{Description, DescriptionPhase, DescriptionStatus, HelmChart, HelmRelease},
    conditions::{self, Wanted},
    names::{
        self,
        apps::{finalizers, labels},
        helm::{conditions::READY, reasons},
    },
};
use jiff::Timestamp;
use k8s_openapi::{ByteString, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{Resource as _, ResourceExt as _};

/// Labels of a Description that its HelmReleases have too.
const HANDED_ON: [&str; 5] = [
    names::labels::CLUSTER_ID,
    names::labels::CLUSTER_NAME,
    labels::SUBSCRIPTION_UID,
    labels::SUBSCRIPTION_NAME,
    labels::SUBSCRIPTION_NAMESPACE,
];

/// Why a Description has no HelmReleases, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) String);

/// The HelmReleases that a Description wants.
///
/// # Errors
/// When its three lists do not belong together, or hold something that is no HelmChart. Then none is written, and none is
/// taken away either.
pub(crate) fn releases(description: &Description) -> Result<Vec<HelmRelease>, Unreadable> {
    let spec = &description.spec;
    let (charts, raw, chart_raw) = (spec.charts.len(), spec.raw.len(), spec.chart_raw.len());
    if charts != raw || charts != chart_raw {
        return Err(Unreadable(format!(
            "The Description names {charts} charts, with values for {raw} and contents of {chart_raw}; as many of each are needed."
        )));
    }
    let all = spec.charts.iter().zip(&spec.raw).zip(&spec.chart_raw);
    all.map(|((reference, values), chart)| {
        let chart: HelmChart = serde_json::from_slice(&chart.0).map_err(|_| {
            Unreadable(format!(
                "What stands for the chart {}/{} is no HelmChart.",
                reference.namespace, reference.name
            ))
        })?;
        Ok(release(description, &reference.namespace, &reference.name, &chart, values))
    })
    .collect()
}

fn release(
    description: &Description,
    namespace: &str,
    name: &str,
    chart: &HelmChart,
    values: &ByteString,
) -> HelmRelease {
    let description_name = description.name_any();
    let spec = placement::charts::release(name, chart, values);
    let mut release = HelmRelease::new(&names::apps::helm_release(&description_name, namespace, name), spec);
    release.metadata.namespace = description.namespace();
    let mut all: BTreeMap<String, String> = chart.labels().clone();
    let handed_on = HANDED_ON.into_iter().filter_map(|key| Some((key, description.labels().get(key)?)));
    all.extend(handed_on.map(|(key, value)| (key.to_owned(), value.clone())));
    for (key, value) in [
        (names::labels::CREATED_BY, names::labels::CONTROLLER_MANAGER),
        (labels::CONFIG_KIND, "Description"),
        (labels::CONFIG_NAME, &description_name),
        (labels::CONFIG_NAMESPACE, &description.namespace().unwrap_or_default()),
        (labels::CONFIG_UID, &description.uid().unwrap_or_default()),
    ] {
        // What is too long for a label is told by the owner reference.
        if value.len() <= 63 {
            all.insert(key.to_owned(), value.to_owned());
        }
    }
    release.metadata.labels = Some(all);
    release.metadata.owner_references = Some(vec![owner(description)]);
    release.metadata.finalizers = Some(vec![finalizers::APPS.to_owned()]);
    release
}

/// No blockOwnerDeletion: it would take the right to update the Description's finalizers.
fn owner(description: &Description) -> OwnerReference {
    OwnerReference {
        api_version: Description::api_version(&()).into_owned(),
        kind: Description::kind(&()).into_owned(),
        name: description.name_any(),
        uid: description.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

/// Whether a HelmRelease was made for a Description.
pub(crate) fn belongs(release: &HelmRelease, description: &Description) -> bool {
    let uid = description.uid();
    release.owner_references().iter().any(|owner| Some(&owner.uid) == uid.as_ref())
}

/// Whether a HelmRelease is as it is wanted, as far as we write it.
pub(crate) fn is_same(there: &HelmRelease, wanted: &HelmRelease) -> bool {
    let spec = |release: &HelmRelease| placement::charts::filled_in(release.spec.clone());
    spec(there) == spec(wanted)
        && wanted.labels().iter().all(|(key, value)| there.labels().get(key) == Some(value))
}

/// The status of a Description, by its HelmReleases: the worst of them counts.
pub(crate) fn status(
    description: &Description,
    wanted: &Result<Vec<HelmRelease>, Unreadable>,
    there: &[HelmRelease],
    now: Timestamp,
) -> DescriptionStatus {
    let mut next = description.status.clone().unwrap_or_default();
    let summed = match wanted {
        Err(Unreadable(why)) => {
            (DescriptionPhase::Failure, Some(why.clone()), ("False", reasons::UNUSABLE, why.clone()))
        }
        Ok(wanted) => summed(wanted, there),
    };
    tell(&mut next, description, summed, now);
    next
}

/// The status of a Description of which nothing is changed: that stands in it, and otherwise what stood there.
pub(crate) fn paused(description: &Description, now: Timestamp) -> DescriptionStatus {
    let mut next = description.status.clone().unwrap_or_default();
    let message = String::from(
        "The Description or its Subscription is paused by an annotation: its HelmReleases are left as they are.",
    );
    let (type_, status, reason) = (names::helm::conditions::APPLIED, "False", reasons::HALTED.to_owned());
    let generation = description.metadata.generation;
    conditions::set(&mut next.conditions, Wanted { type_, status, reason, message, generation }, now);
    next
}

/// The status of a Description that is being deleted, by the HelmReleases that are left.
pub(crate) fn leaving(description: &Description, there: &[HelmRelease], now: Timestamp) -> DescriptionStatus {
    let mut next = description.status.clone().unwrap_or_default();
    let mut summed = summed(there, there);
    if summed.0 != DescriptionPhase::Failure {
        // That a release is there as it was says nothing of its removal.
        let message = format!("Charts are being removed: {} of them.", there.len());
        summed = (DescriptionPhase::Uninstalling, None, ("Unknown", reasons::PROGRESSING, message));
    }
    tell(&mut next, description, summed, now);
    next
}

fn tell(next: &mut DescriptionStatus, description: &Description, summed: Summed, now: Timestamp) {
    let (phase, reason, (status, because, message)) = summed;
    next.phase = Some(phase);
    next.reason = reason;
    for type_ in [names::helm::conditions::APPLIED, READY] {
        let generation = description.metadata.generation;
        let (reason, message) = (because.to_owned(), message.clone());
        conditions::set(&mut next.conditions, Wanted { type_, status, reason, message, generation }, now);
    }
}

type Summed = (DescriptionPhase, Option<String>, (&'static str, &'static str, String));

fn summed(wanted: &[HelmRelease], there: &[HelmRelease]) -> Summed {
    let mut worst = (0, DescriptionPhase::Success);
    let mut troubles = Vec::new();
    for one in wanted {
        let found = there.iter().find(|found| found.name_any() == one.name_any());
        let status = found.and_then(|found| found.status.as_ref());
        let generation = found.and_then(|found| found.metadata.generation);
        let ready = status.and_then(|status| conditions::find(&status.conditions, READY));
        // What was said of an older generation says nothing of this one.
        let ready = ready.filter(|ready| ready.observed_generation == generation);
        let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or_default();
        let rank = match (ready.map(|ready| ready.status.as_str()), phase) {
            (Some("True"), _) => (0, DescriptionPhase::Success),
            (Some("False"), _) => (4, DescriptionPhase::Failure),
            (_, "uninstalling") => (3, DescriptionPhase::Uninstalling),
            (_, "deployed" | "pending-upgrade") => (2, DescriptionPhase::Upgrading),
            _ => (3, DescriptionPhase::Installing),
        };
        if let Some(ready) = ready.filter(|ready| ready.status == "False") {
            let name = one.spec.release_name.clone().unwrap_or_default();
            troubles.push(format!("{name}: {}", ready.message));
        }
        if rank.0 > worst.0 {
            worst = rank;
        }
    }
    let condition = match worst.1 {
        DescriptionPhase::Success => {
            ("True", reasons::DEPLOYED, format!("All charts are deployed: {} of them.", wanted.len()))
        }
        DescriptionPhase::Failure => ("False", reasons::FAILED, troubles.join(" ")),
        _ => ("Unknown", reasons::PROGRESSING, String::from("Charts are on their way.")),
    };
    (worst.1, Some(troubles.join(" ")).filter(|text| !text.is_empty()), condition)
}

#[cfg(test)]
mod tests {
    use api::apps::{
        ChartReference, Deployer, DescriptionSpec, HelmChartSpec, HelmOptions, HelmReleaseStatus,
    };

    use super::*;

    fn description() -> Description {
        let options =
            HelmOptions { chart: "web".into(), target_namespace: "qux".into(), ..HelmOptions::default() };
        let mut chart = HelmChart::new("web", HelmChartSpec { options });
        chart.labels_mut().insert("app".into(), "web".into());
        let spec = DescriptionSpec {
            deployer: Deployer::Helm,
            charts: vec![ChartReference { namespace: "default".into(), name: "web".into() }],
            raw: vec![ByteString(b" ".to_vec())],
            contents: vec![],
            chart_raw: vec![ByteString(serde_json::to_vec(&chart).unwrap())],
        };
        let mut description = Description::new("base-helm", spec);
        description.metadata.namespace = Some("clusternet-abcde".into());
        description.metadata.uid = Some("uid".into());
        description.metadata.generation = Some(2);
        description
    }

    fn with(release: &HelmRelease, status: &'static str, phase: &str) -> HelmRelease {
        let mut release = release.clone();
        release.metadata.generation = Some(1);
        let mut conditions = Vec::new();
        let (reason, message) = (String::from("R"), String::from("It is so."));
        let wanted = Wanted { type_: READY, status, reason, message, generation: Some(1) };
        conditions::set(&mut conditions, wanted, Timestamp::UNIX_EPOCH);
        release.status = Some(HelmReleaseStatus {
            phase: Some(phase.to_owned()),
            conditions,
            ..HelmReleaseStatus::default()
        });
        release
    }

    #[test]
    fn each_chart_is_a_helm_release_as_the_contract_names_it() {
        let release = releases(&description()).unwrap().remove(0);
        assert_eq!(release.name_any(), "base-helm-default-web");
        assert_eq!((release.spec.release_name.as_deref(), &release.spec.overrides), (Some("web"), &None));
        assert_eq!(
            (release.labels()["app"].as_str(), release.labels()[labels::CONFIG_KIND].as_str()),
            ("web", "Description")
        );
        assert!(belongs(&release, &description()) && is_same(&release, &release));
        let mut filled_in = release.clone();
        filled_in.spec.options.timeout_seconds = Some(300);
        assert!(is_same(&filled_in, &release));
    }

    #[test]
    fn lists_that_do_not_belong_together_are_refused_as_a_whole() {
        let mut odd = description();
        odd.spec.raw.clear();
        let wanted = releases(&odd);
        assert!(wanted.is_err());
        let status = status(&odd, &wanted, &[], Timestamp::UNIX_EPOCH);
        assert_eq!(status.phase, Some(DescriptionPhase::Failure));
    }

    #[test]
    fn the_phase_is_that_of_the_worst_release() {
        let description = description();
        let wanted = releases(&description);
        let one = wanted.as_ref().unwrap()[0].clone();
        let phase = |there: &[HelmRelease]| {
            status(&description, &wanted, there, Timestamp::UNIX_EPOCH).phase.unwrap()
        };
        assert_eq!(phase(&[]), DescriptionPhase::Installing);
        assert_eq!(phase(&[with(&one, "True", "deployed")]), DescriptionPhase::Success);
        assert_eq!(phase(&[with(&one, "Unknown", "pending-upgrade")]), DescriptionPhase::Upgrading);
        assert_eq!(phase(&[with(&one, "False", "failed")]), DescriptionPhase::Failure);
        let mut old = with(&one, "True", "deployed");
        old.metadata.generation = Some(2);
        assert_eq!(phase(&[old]), DescriptionPhase::Upgrading);
    }

    #[test]
    fn while_it_is_paused_it_says_so_and_keeps_what_stood_there() {
        let mut description = description();
        let wanted = releases(&description);
        description.status = Some(status(&description, &wanted, &[], Timestamp::UNIX_EPOCH));
        description.annotations_mut().insert("apps.clusterway.io/subscription-paused".into(), "true".into());
        assert!(description.is_paused());
        let told = paused(&description, Timestamp::UNIX_EPOCH);
        assert_eq!(told.phase, Some(DescriptionPhase::Installing));
        let applied = conditions::find(&told.conditions, names::helm::conditions::APPLIED).unwrap();
        assert_eq!((applied.status.as_str(), applied.reason.as_str()), ("False", "Paused"));
    }

    #[test]
    fn a_status_that_is_told_twice_is_the_same() {
        let mut description = description();
        let wanted = releases(&description);
        let first = status(&description, &wanted, &[], Timestamp::UNIX_EPOCH);
        description.status = Some(first.clone());
        assert_eq!(status(&description, &wanted, &[], Timestamp::now()), first);
    }
}
