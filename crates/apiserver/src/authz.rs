//! May they? Asked of the parent by SubjectAccessReview.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use meta::Status;
use moka::future::Cache;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{Attributes, User, review, user};

/// How long the parent's word is taken without asking again, for yes and no alike.
const REMEMBERED: Duration = Duration::from_secs(10);
const CACHED_DECISIONS: u64 = 20_000;

/// The answer to "may they?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed,
    /// No; the parent's reason, possibly empty.
    Denied(String),
}

/// Asks the parent whether a user may do something, and remembers the answer for ten seconds. No answer is no.
///
/// Members of `system:masters` are allowed everything, as in every Kubernetes API server. Extras that begin with
/// `clusternet-` hold credentials: they are left out of questions and cache keys. Cheap to clone; handlers that need
/// more than the one question the server asks may use it themselves.
#[derive(Clone)]
pub struct Authorizer {
    reviewer: review::Reviewer,
    cache: Cache<[u8; 32], Arc<Decision>>,
}

impl Authorizer {
    /// Asks with `client`, which needs `create` on `subjectaccessreviews.authorization.k8s.io`.
    pub fn new(client: kube::Client) -> Self {
        let cache = Cache::builder().max_capacity(CACHED_DECISIONS).time_to_live(REMEMBERED).build();
        Self { reviewer: review::Reviewer::new(client), cache }
    }

    /// Whether `user` may do what `attributes` say. An error means that the parent could not be asked.
    pub async fn decide(&self, user: &User, attributes: &Attributes) -> Result<Decision, Status> {
        if user.is_in(user::MASTERS) {
            return Ok(Decision::Allowed);
        }
        let review = question(user, attributes);
        let key: [u8; 32] = Sha256::digest(review.to_string().as_bytes()).into();
        let decision = self.cache.try_get_with(key, self.ask(&review)).await;
        decision
            .map(|decision| Decision::clone(&decision))
            .map_err(|_| review::Failed::status_about("what you may do"))
    }

    /// Like [`Authorizer::decide`], with a refusal as the 403 a user sees.
    pub async fn require(&self, user: &User, attributes: &Attributes) -> Result<(), Status> {
        match self.decide(user, attributes).await? {
            Decision::Allowed => Ok(()),
            Decision::Denied(reason) => Err(forbidden(user, attributes, &reason)),
        }
    }

    async fn ask(&self, review: &serde_json::Value) -> Result<Arc<Decision>, review::Failed> {
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let Answer { status } = self.reviewer.ask(path, review).await?;
        let allowed = status.allowed && !status.denied;
        Ok(Arc::new(if allowed { Decision::Allowed } else { Decision::Denied(status.reason) }))
    }
}

/// The review. Its text is also what the cache key is made of: whatever is asked is in the key, and nothing else.
fn question(user: &User, attributes: &Attributes) -> serde_json::Value {
    let extra: BTreeMap<_, _> = user.public_extra().collect();
    let mut spec = json!({
        "user": user.name,
        "uid": user.uid,
        "groups": user.groups,
        "extra": extra,
    });
    if attributes.resource.is_empty() {
        spec["nonResourceAttributes"] = json!({ "path": attributes.path, "verb": attributes.verb });
    } else {
        spec["resourceAttributes"] = json!({
            "verb": attributes.verb,
            "group": attributes.group,
            "version": attributes.version,
            "namespace": attributes.namespace,
            "resource": attributes.resource,
            "subresource": attributes.subresource,
            "name": attributes.name,
        });
    }
    json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec })
}

/// The refusal, in Kubernetes' own words.
fn forbidden(user: &User, attributes: &Attributes, reason: &str) -> Status {
    let Attributes { verb, group, namespace, resource, subresource, name, path, .. } = attributes;
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let user = &user.name;
    if resource.is_empty() {
        return Status::forbidden(format!("forbidden: User {user:?} cannot {verb} path {path:?}{because}"));
    }
    let full = if subresource.is_empty() { resource.clone() } else { format!("{resource}/{subresource}") };
    let qualified = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
    let object = if name.is_empty() { String::new() } else { format!(" {name:?}") };
    let place = if namespace.is_empty() {
        String::from("at the cluster scope")
    } else {
        format!("in the namespace {namespace:?}")
    };
    Status::forbidden(format!(
        "{qualified}{object} is forbidden: User {user:?} cannot {verb} resource {full:?} in API group {group:?} {place}{because}"
    ))
    .about(group, resource, name)
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    status: AnswerStatus,
}

#[derive(Default, Deserialize)]
struct AnswerStatus {
    #[serde(default)]
    allowed: bool,
    #[serde(default)]
    denied: bool,
    #[serde(default)]
    reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_never_holds_a_credential_for_a_child() {
        let mut user = User::new("jane", &["dev"]);
        user.extra.insert("clusternet-token".into(), vec!["very-secret".into()]);
        user.extra.insert("scopes".into(), vec!["view".into()]);
        let text = question(&user, &Attributes::path("get", "/metrics")).to_string();
        assert!(!text.contains("very-secret") && !text.contains("clusternet-"), "{text}");
        assert!(text.contains("view"), "{text}");
    }

    #[test]
    fn a_refusal_reads_as_kubernetes_writes_it() {
        let attributes = Attributes {
            verb: "get".into(),
            group: "proxies.clusternet.io".into(),
            resource: "sockets".into(),
            subresource: "proxy".into(),
            name: "c1".into(),
            ..Attributes::default()
        };
        let status = forbidden(&User::new("jane", &[]), &attributes, "");
        assert_eq!(
            status.message,
            "sockets.proxies.clusternet.io \"c1\" is forbidden: User \"jane\" cannot get resource \"sockets/proxy\" in \
             API group \"proxies.clusternet.io\" at the cluster scope"
        );
        let status = forbidden(&User::new("jane", &[]), &Attributes::path("get", "/metrics"), "");
        assert_eq!(status.message, "forbidden: User \"jane\" cannot get path \"/metrics\"");
    }
}
