//! Realistic objects by the million, always the same ones: pods of 2 to 5 KB as their API server gives them, without
//! `managedFields`.
//!
//! A cluster has 50 namespaces; each runs all of 200 applications, so that a million pods in 50 clusters are 2 of
//! every application, namespace and cluster.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use meta::{ObjectKey, Owner, RawObject};

use crate::{Batch, Change, ClusterName, Error, Resource, Store};

/// Namespaces in each cluster.
pub const NAMESPACES: usize = 50;
/// Applications in each namespace.
pub const APPLICATIONS: usize = 200;

/// Pods in each cluster of a filled store.
pub const PODS_PER_CLUSTER: usize = 20_000;
/// Pods in one batch of a filling, and batches under way at a time: as many as a sync has clusters.
const FILLING: (usize, usize) = (500, 4);

/// What [`fill`] did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filled {
    /// Pods written; the others were there.
    pub written: usize,
    /// What the store took for them. The generator's time is not in it.
    pub writing: Duration,
}

/// Fills a store with the pods of as many clusters as `pods` takes, as far as they are not there yet. Interrupted, it
/// goes on when it is called again.
///
/// # Errors
/// Those of the store.
pub async fn fill(store: &dyn Store, pods: usize) -> Result<Filled, Error> {
    let mut filled = Filled::default();
    for number in 0..pods.div_ceil(PODS_PER_CLUSTER) {
        let stored = store.checkpoints(&cluster(number)).await?;
        if stored.iter().any(|stored| stored.resource_version.is_some()) {
            continue;
        }
        let batch = |changes, checkpoint| Batch {
            cluster: cluster(number),
            resource: self::pods(),
            changes,
            checkpoint,
        };
        let count = PODS_PER_CLUSTER.min(pods - number * PODS_PER_CLUSTER);
        let mut changes: Vec<Change> = pods_of(number, count).map(Change::Upsert).collect();
        let mut batches = Vec::new();
        while !changes.is_empty() {
            let rest = changes.split_off(changes.len().min(FILLING.0));
            batches.push(batch(std::mem::replace(&mut changes, rest), None));
        }
        let began = Instant::now();
        let applied = stream::iter(batches.into_iter().map(|batch| store.apply(batch)));
        applied.buffered(FILLING.1).try_for_each(|_| async { Ok(()) }).await?;
        // Only now the cluster counts as there.
        store.apply(batch(Vec::new(), Some("1".to_owned()))).await?;
        filled.writing += began.elapsed();
        filled.written += count;
    }
    Ok(filled)
}

/// The resource of all objects here.
pub fn pods() -> Resource {
    Resource::new("", "v1", "pods")
}

/// The name of a cluster.
pub fn cluster(cluster: usize) -> ClusterName {
    ClusterName::new(format!("cluster-{cluster:04}"))
}

/// The name of a namespace.
pub fn namespace(namespace: usize) -> String {
    format!("team-{namespace:02}")
}

/// The name of an application, which is the value of the label `app`.
pub fn application(application: usize) -> String {
    const NAMES: [&str; 10] = [
        "checkout", "payment", "catalog", "search", "gateway", "worker", "mailer", "report", "session",
        "ledger",
    ];
    format!("{}-{application:03}", NAMES[application % NAMES.len()])
}

/// The first `count` pods of a cluster in the order a list has them: by namespace and name.
pub fn pods_of(cluster: usize, count: usize) -> impl Iterator<Item = RawObject> {
    let replicas = count.div_ceil(NAMESPACES * APPLICATIONS).max(1);
    (0..NAMESPACES)
        .flat_map(move |namespace| {
            let mut pods: Vec<RawObject> = (0..APPLICATIONS)
                .flat_map(|application| (0..replicas).map(move |replica| (application, replica)))
                .map(|(application, replica)| pod(cluster, namespace, application, replica))
                .collect();
            pods.sort_by(|a, b| a.key.name.cmp(&b.key.name));
            pods
        })
        .take(count)
}

/// One pod.
pub fn pod(cluster: usize, namespace: usize, application: usize, replica: usize) -> RawObject {
    let number = ((cluster * NAMESPACES + namespace) * APPLICATIONS + application) as u64;
    let mut of_set = Random::new(number);
    let mut of_pod = Random::new((number << 20) | (replica as u64 + 1));
    let app = self::application(application);
    let hash = of_set.text(10);
    let set_uid = of_set.uuid();
    let set = format!("{app}-{hash}");
    let name = format!("{set}-{}", of_pod.text(5));
    let labels: BTreeMap<String, String> = [
        ("app", app.clone()),
        ("pod-template-hash", hash),
        ("tier", ["frontend", "backend", "data"][application % 3].to_owned()),
        ("app.kubernetes.io/managed-by", "Helm".to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    let key = ObjectKey {
        api_version: "v1".into(),
        kind: "Pod".into(),
        namespace: self::namespace(namespace),
        name,
        uid: of_pod.uuid(),
        resource_version: (1_000_000 + of_pod.next() % 100_000_000).to_string(),
        created: 1_750_000_000 + (of_pod.next() % 31_536_000) as i64,
        deleting: None,
        labels,
        owner: Some(Owner {
            api_version: "apps/v1".into(),
            kind: "ReplicaSet".into(),
            name: set,
            uid: set_uid,
        }),
    };
    let json = json(&key, &app, &mut of_pod).into_bytes();
    RawObject { key, json: Arc::from(json) }
}

/// 2 to 5 KB.
fn json(key: &ObjectKey, app: &str, random: &mut Random) -> String {
    let ObjectKey { namespace, name, uid, resource_version, owner, .. } = key;
    let created = time(key.created);
    let labels = serde_json::to_string(&key.labels).unwrap_or_default();
    let (owner_name, owner_uid) = owner.as_ref().map_or(("", ""), |owner| (&owner.name, &owner.uid));
    let node = format!("node-{:03}", random.next() % 200);
    let phase = match random.next() % 10_000 {
        0 => "Failed",
        1..=20 => "Pending",
        _ => "Running",
    };
    let ip = format!("10.{}.{}.{}", random.next() % 256, random.next() % 256, random.next() % 256);
    let mut text = format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{name}","generateName":"{owner_name}-","namespace":"{namespace}","uid":"{uid}","resourceVersion":"{resource_version}","creationTimestamp":"{created}","labels":{labels},"annotations":{{"checksum/config":"{:016x}{:016x}{:016x}{:016x}","prometheus.io/scrape":"true","prometheus.io/port":"9090"}},"ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"{owner_name}","uid":"{owner_uid}","controller":true,"blockOwnerDeletion":true}}]}},"#,
        random.next(),
        random.next(),
        random.next(),
        random.next()
    );
    let token = format!("kube-api-access-{}", random.text(5));
    let _ = write!(
        text,
        r#""spec":{{"volumes":[{{"name":"config","configMap":{{"name":"{app}-config","defaultMode":420}}}},{{"name":"{token}","projected":{{"sources":[{{"serviceAccountToken":{{"expirationSeconds":3607,"path":"token"}}}},{{"configMap":{{"name":"kube-root-ca.crt","items":[{{"key":"ca.crt","path":"ca.crt"}}]}}}},{{"downwardAPI":{{"items":[{{"path":"namespace","fieldRef":{{"apiVersion":"v1","fieldPath":"metadata.namespace"}}}}]}}}}],"defaultMode":420}}}}],"containers":["#
    );
    let containers = 1 + random.next() % 2;
    let mut statuses = String::new();
    for at in 0..containers {
        let comma = if at > 0 { "," } else { "" };
        let container = ["app", "proxy"][at as usize];
        let image = format!(
            "registry.example.com/{app}/{container}:v1.{}.{}",
            random.next() % 40,
            random.next() % 10
        );
        // Writing into a String cannot fail.
        let _ = write!(
            text,
            r#"{comma}{{"name":"{container}","image":"{image}","args":["--config=/etc/{app}/config.yaml","--log-level=info"],"ports":[{{"name":"http","containerPort":8080,"protocol":"TCP"}},{{"name":"metrics","containerPort":9090,"protocol":"TCP"}}],"env":[{{"name":"POD_NAME","valueFrom":{{"fieldRef":{{"apiVersion":"v1","fieldPath":"metadata.name"}}}}}},{{"name":"REGION","value":"eu-{}"}}],"resources":{{"limits":{{"cpu":"500m","memory":"{}Mi"}},"requests":{{"cpu":"100m","memory":"128Mi"}}}},"volumeMounts":[{{"name":"config","mountPath":"/etc/{app}"}},{{"name":"{token}","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}}],"livenessProbe":{{"httpGet":{{"path":"/healthz","port":8080,"scheme":"HTTP"}},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3}},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent"}}"#,
            random.next() % 3,
            256 << (random.next() % 4),
        );
        let _ = write!(
            statuses,
            r#"{comma}{{"name":"{container}","state":{{"running":{{"startedAt":"{created}"}}}},"lastState":{{}},"ready":true,"restartCount":{},"image":"{image}","imageID":"{image}@sha256:{:016x}{:016x}{:016x}{:016x}","containerID":"containerd://{:016x}{:016x}{:016x}{:016x}","started":true}}"#,
            random.next() % 4,
            random.next(),
            random.next(),
            random.next(),
            random.next(),
            random.next(),
            random.next(),
            random.next(),
            random.next()
        );
    }
    let _ = write!(
        text,
        r#"],"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","serviceAccountName":"{app}","serviceAccount":"{app}","nodeName":"{node}","securityContext":{{}},"schedulerName":"default-scheduler","tolerations":[{{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}},{{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}}],"priority":0,"enableServiceLinks":true,"preemptionPolicy":"PreemptLowerPriority"}},"status":{{"phase":"{phase}","conditions":["#
    );
    for (at, condition) in ["Initialized", "Ready", "ContainersReady", "PodScheduled"].iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(
            text,
            r#"{comma}{{"type":"{condition}","status":"True","lastProbeTime":null,"lastTransitionTime":"{created}"}}"#
        );
    }
    let _ = write!(
        text,
        r#"],"hostIP":"192.168.0.{}","podIP":"{ip}","podIPs":[{{"ip":"{ip}"}}],"startTime":"{created}","containerStatuses":[{statuses}],"qosClass":"Burstable"}}}}"#,
        random.next() % 256
    );
    text
}

/// Seconds since 1970 as RFC 3339, by the civil calendar.
fn time(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// SplitMix64: small, fast, and the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// One of `values`, of which there is one at least.
    pub(crate) fn of<'a, T>(&mut self, values: &'a [T]) -> &'a T {
        &values[self.below(values.len() as u64) as usize]
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Of the characters Kubernetes takes for generated names.
    fn text(&mut self, length: usize) -> String {
        const CHARACTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..length).map(|_| char::from(CHARACTERS[self.next() as usize % CHARACTERS.len()])).collect()
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_valid_json_of_2_to_5_kb_in_list_order() {
        let pods: Vec<RawObject> = pods_of(3, 2000).collect();
        for pod in &pods {
            let value: serde_json::Value = serde_json::from_slice(&pod.json).unwrap();
            assert_eq!(value["metadata"]["name"], pod.key.name.as_str());
            assert!((2000..5500).contains(&pod.json.len()), "{}", pod.json.len());
        }
        let name = |pod: &RawObject| (pod.key.namespace.clone(), pod.key.name.clone());
        assert!(pods.windows(2).all(|pair| name(&pair[0]) < name(&pair[1])));
    }

    #[test]
    fn times_are_civil() {
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(time(1_709_251_199), "2024-02-29T23:59:59Z");
    }
}
