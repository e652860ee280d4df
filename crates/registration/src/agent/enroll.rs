//! From nothing to a credential of our own in the parent.
//!
//! Each step can be repeated: the key and the name are written down before the request that carries them, the request is
//! found again by its name, and the answer stays sealed in it until it was stored.

use std::time::Duration;

use anyhow::Context as _;
use api::{
    clusters::{
        ClusterRegistrationRequest, ClusterRegistrationRequestSpec, ClusterRegistrationRequestStatus,
    },
    names::{self, annotations, labels},
};
use k8s_openapi::api::{authentication::v1::SelfSubjectReview, core::v1::ObjectReference};
use kube::{Api, Client, ResourceExt as _, api::PostParams};
use rand::RngExt as _;
use runtime::events::Events;
use tokio::time::sleep;
use tracing::{info, warn};

use super::{
    options::Options,
    parent::{self, Roots},
    secret::{Keeper, Memory},
    trust,
};
use crate::seal::PrivateKey;

/// How often the answer is looked for. A bootstrap token may read a request by name, but not watch.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often a refused request is looked at again.
const REFUSED_EVERY: Duration = Duration::from_secs(15);

/// Makes sure there is a key and a name, and that both are stored, before anything is said to the parent.
pub(super) async fn prepare(options: &Options, keeper: &Keeper) -> anyhow::Result<Memory> {
    let mut memory = keeper.read().await.context("the Secret parent-cluster cannot be read")?;
    let mut changed = false;
    if memory.private_key.is_none() {
        memory.private_key = Some(PrivateKey::generate().to_base64().to_string());
        changed = true;
    }
    if memory.name.is_none() {
        memory.name =
            Some(if options.name.is_empty() { made_up(&options.name_prefix) } else { options.name.clone() });
        changed = true;
    }
    if memory.url.as_deref().is_some_and(|url| url != options.parent_url) {
        warn!(parent = %options.parent_url, "the parent's address has changed: registering again");
        memory = Memory { token: None, ca: None, namespace: None, system_roots: false, url: None, ..memory };
        changed = true;
    }
    if changed {
        keeper.write(&memory).await.context("the Secret parent-cluster cannot be written")?;
    }
    Ok(memory)
}

/// Registers with the token from the flags, waits for the answer as long as it takes, and stores what it holds. A refusal
/// is told to the people of this cluster by an Event on the Lease.
/// `refused` is a token of ours that the parent did not take any more; it is not taken for an answer again.
pub(super) async fn register(
    options: &Options,
    keeper: &Keeper,
    events: &Events,
    cluster_id: &str,
    mut memory: Memory,
    refused: Option<&str>,
) -> anyhow::Result<Memory> {
    let roots = trust::find(options).await?;
    let client = parent::client(&options.parent_url, &roots, Some(&options.token))?;
    let explain = |error| parent::explain(error, &options.parent_url);
    let key = memory.key()?;
    let requests: Api<ClusterRegistrationRequest> = Api::all(client.clone());
    let requester = who_am_i(&client).await.map_err(explain)?;
    let wanted = request(options, cluster_id, &memory, &key, &requester);
    let name = wanted.name_any();
    let mut told = String::new();
    loop {
        let found = match requests.get_opt(&name).await.map_err(explain)? {
            Some(found) => found,
            None => match requests.create(&PostParams::default(), &wanted).await {
                Ok(created) => {
                    info!(request = %name, parent = %options.parent_url, "registration requested");
                    created
                }
                Err(kube::Error::Api(status)) if status.code == 409 => continue,
                Err(error) => return Err(explain(error)),
            },
        };
        match answer(&found, &key, refused) {
            Answer::Approved { token, status } => {
                memory.token = Some(token);
                memory.url = Some(options.parent_url.clone());
                memory.namespace = status.dedicated_namespace;
                memory.name = status.managed_cluster_name.or(memory.name);
                memory.system_roots = roots == Roots::System;
                memory.ca = match &roots {
                    Roots::Authority(pem) => Some(pem.clone()),
                    _ => status.ca_certificate.and_then(|ca| String::from_utf8(ca.0).ok()),
                };
                keeper.write(&memory).await.context("the Secret parent-cluster cannot be written")?;
                info!(cluster = %cluster_id, name = memory.name.as_deref().unwrap_or_default(), "registered");
                return Ok(memory);
            }
            Answer::NotYet => sleep(LOOK_EVERY).await,
            Answer::No(why) => {
                // Said once per reason, not every few seconds.
                if told != why {
                    warn!(request = %name, reason = %why, "the parent does not register this cluster");
                    events.warning_about(&lease(options), "RegistrationDenied", &why).await;
                    told = why;
                }
                sleep(REFUSED_EVERY).await;
            }
        }
    }
}

/// Makes our request again if somebody deleted it: the parent's people look there, and labels travel in it. Our own
/// credential may only read it, so the token from the flags is used, if it is still good.
pub(super) async fn restore(
    parent: &Client,
    options: &Options,
    cluster_id: &str,
    memory: &Memory,
) -> anyhow::Result<()> {
    let requests: Api<ClusterRegistrationRequest> = Api::all(parent.clone());
    if requests.get_opt(&names::of_cluster(cluster_id)).await?.is_some() {
        return Ok(());
    }
    let roots = memory.roots().context("the parent's CA is not known")?;
    let client = parent::client(&options.parent_url, &roots, Some(&options.token))?;
    let explain = |error| parent::explain(error, &options.parent_url);
    let requester = who_am_i(&client).await.map_err(explain)?;
    let wanted = request(options, cluster_id, memory, &memory.key()?, &requester);
    let created = Api::all(client).create(&PostParams::default(), &wanted).await;
    created.map_err(explain)?;
    info!(request = %wanted.name_any(), "the registration request was gone and was made again");
    Ok(())
}

/// What this cluster's people are told about registration is told on the agent's Lease: its UID is the cluster's id.
fn lease(options: &Options) -> ObjectReference {
    ObjectReference {
        api_version: Some(String::from("coordination.k8s.io/v1")),
        kind: Some(String::from("Lease")),
        name: Some(options.lease_name.clone()),
        namespace: Some(options.lease_namespace.clone()),
        ..ObjectReference::default()
    }
}

enum Answer {
    Approved { token: String, status: Box<ClusterRegistrationRequestStatus> },
    NotYet,
    No(String),
}

/// What the request in the parent means for us.
fn answer(found: &ClusterRegistrationRequest, key: &PrivateKey, refused: Option<&str>) -> Answer {
    let theirs = found.annotations().get(annotations::PUBLIC_KEY);
    if theirs != Some(&key.public().to_base64()) {
        return Answer::No(format!(
            "the request {} in the parent was made with another key: if this agent lost its Secret, delete the \
             ManagedCluster and the request in the parent; if not, somebody else uses this cluster's id",
            found.name_any()
        ));
    }
    let Some(status) = found.status.clone() else { return Answer::NotYet };
    match status.result.as_deref() {
        Some("Approved") => {}
        Some(_) => {
            let why = status.error_message.unwrap_or_else(|| String::from("no reason was given"));
            return Answer::No(why);
        }
        None => return Answer::NotYet,
    }
    let expired =
        status.token_expiration_timestamp.as_ref().is_some_and(|time| time.0 <= jiff::Timestamp::now());
    let Some(sealed) = status.sealed_token.as_ref().filter(|_| !expired) else { return Answer::NotYet };
    let opened = key.open(&sealed.0).ok().and_then(|plain| String::from_utf8(plain.to_vec()).ok());
    match opened {
        None => {
            Answer::No(String::from("the sealed token in the request cannot be opened with this agent's key"))
        }
        Some(token) if Some(token.as_str()) == refused => Answer::NotYet,
        Some(token) => Answer::Approved { token, status: Box::new(status) },
    }
}

fn request(
    options: &Options,
    cluster_id: &str,
    memory: &Memory,
    key: &PrivateKey,
    requester: &str,
) -> ClusterRegistrationRequest {
    let spec = ClusterRegistrationRequestSpec {
        cluster_id: cluster_id.to_owned(),
        cluster_type: Some(options.cluster_type.clone()),
        cluster_name: memory.name.clone(),
        cluster_namespace: Some(options.namespace.clone()).filter(|namespace| !namespace.is_empty()),
        cluster_labels: options.labels.clone(),
        sync_mode: options.sync_mode,
    };
    let mut request = ClusterRegistrationRequest::new(&names::of_cluster(cluster_id), spec);
    request.labels_mut().extend([
        (labels::REGISTERED_BY.to_owned(), labels::AGENT.to_owned()),
        (labels::CLUSTER_ID.to_owned(), cluster_id.to_owned()),
        (labels::CLUSTER_NAME.to_owned(), memory.name.clone().unwrap_or_default()),
    ]);
    request.annotations_mut().extend([
        (annotations::PUBLIC_KEY.to_owned(), key.public().to_base64()),
        (annotations::REQUESTER.to_owned(), requester.to_owned()),
    ]);
    request
}

/// The name the parent knows us by; admission there holds the request's annotation to it.
async fn who_am_i(client: &Client) -> kube::Result<String> {
    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await?;
    let user = review.status.and_then(|status| status.user_info);
    Ok(user.and_then(|user| user.username).unwrap_or_default())
}

/// `PREFIX-xxxxx`.
fn made_up(prefix: &str) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut rng = rand::rng();
    let suffix: String = (0..5).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])).collect();
    format!("{prefix}-{suffix}")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{ByteString, apimachinery::pkg::apis::meta::v1::Time};

    use super::*;
    use crate::agent::options::sample;

    const ID: &str = "dc91021d-2361-4f6d-a404-7c33b9e01118";

    fn approved(key: &PrivateKey, token: &str) -> ClusterRegistrationRequest {
        let mut found = request(&sample(), ID, &Memory::default(), key, "system:bootstrap:07401b");
        found.status = Some(ClusterRegistrationRequestStatus {
            result: Some("Approved".into()),
            sealed_token: Some(ByteString(key.public().seal(token.as_bytes()).unwrap())),
            ..ClusterRegistrationRequestStatus::default()
        });
        found
    }

    #[test]
    fn the_request_carries_the_key_and_the_name_of_who_made_it() {
        let key = PrivateKey::generate();
        let request = request(&sample(), ID, &Memory::default(), &key, "system:bootstrap:07401b");
        assert_eq!(request.name_any(), format!("clusternet-{ID}"));
        assert_eq!(request.annotations()[annotations::PUBLIC_KEY], key.public().to_base64());
        assert_eq!(request.annotations()[annotations::REQUESTER], "system:bootstrap:07401b");
        assert_eq!(request.labels()[labels::REGISTERED_BY], "clusternet-agent");
    }

    #[test]
    fn a_token_is_taken_only_from_a_request_with_our_key() {
        let (ours, theirs) = (PrivateKey::generate(), PrivateKey::generate());
        assert!(
            matches!(answer(&approved(&ours, "t"), &ours, None), Answer::Approved { token, .. } if token == "t")
        );
        assert!(
            matches!(answer(&approved(&theirs, "t"), &ours, None), Answer::No(why) if why.contains("another key"))
        );
    }

    #[test]
    fn an_expired_token_or_one_the_parent_refused_is_waited_over() {
        let key = PrivateKey::generate();
        assert!(matches!(answer(&approved(&key, "old"), &key, Some("old")), Answer::NotYet));
        let mut expired = approved(&key, "t");
        if let Some(status) = &mut expired.status {
            status.token_expiration_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
        }
        assert!(matches!(answer(&expired, &key, None), Answer::NotYet));
    }

    #[test]
    fn a_denial_is_told_with_the_hubs_words() {
        let key = PrivateKey::generate();
        let mut denied = approved(&key, "t");
        denied.status = Some(ClusterRegistrationRequestStatus {
            result: Some("Denied".into()),
            error_message: Some("The name is taken.".into()),
            ..ClusterRegistrationRequestStatus::default()
        });
        assert!(matches!(answer(&denied, &key, None), Answer::No(why) if why == "The name is taken."));
    }

    #[test]
    fn events_are_about_the_lease_of_this_agent_in_its_namespace() {
        let about = lease(&sample());
        assert_eq!(about.name, Some(sample().lease_name));
        assert_eq!(about.namespace, Some(sample().lease_namespace));
        assert_eq!(
            (about.api_version.as_deref(), about.kind.as_deref()),
            (Some("coordination.k8s.io/v1"), Some("Lease"))
        );
    }

    #[test]
    fn made_up_names_fit_the_contract() {
        let name = made_up("clusternet-cluster");
        assert!(name.len() == 24 && name.starts_with("clusternet-cluster-"), "{name}");
    }
}
