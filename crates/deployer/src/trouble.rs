//! What is in the way of one object, and what a cluster's refusal means. Pure.
//!
//! A refusal may quote the values it refuses. Only words that cannot hold one are passed on.

use api::{
    apps::Feed,
    names::deployer::{AGGREGATE_LABEL, reasons},
};
use kubeio::{Error, Resource};
use meta::{Status, StatusCause};

use crate::item::title;

/// What is passed on of a cluster's words.
const WORDS: usize = 400;

/// What is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// A stable word.
    pub(crate) reason: &'static str,
    /// The object, or nothing where it is the whole Description's.
    pub(crate) about: Option<String>,
    /// For people: what is wrong, and what helps. Holds no value of an object.
    pub(crate) why: String,
    /// Whether it may pass by itself soon.
    pub(crate) passing: bool,
}

impl Trouble {
    pub(crate) fn new(reason: &'static str, feed: &Feed, why: impl Into<String>) -> Self {
        Self { reason, about: Some(title(feed)), why: why.into(), passing: false }
    }

    pub(crate) fn of_description(reason: &'static str, why: impl Into<String>) -> Self {
        Self { reason, about: None, why: why.into(), passing: false }
    }

    pub(crate) fn passing(mut self) -> Self {
        self.passing = true;
        self
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.about {
            Some(about) => write!(f, "{about}: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

/// What a request to the cluster has failed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such object or resource.
    NotFound,
    /// The namespace it is to be in does not exist.
    NoNamespace,
    /// The namespace it is to be in is going.
    NamespaceGoing,
    /// Somebody else was faster.
    Raced,
    /// RBAC forbids it.
    Right,
    /// It is refused and would be again.
    Refused(String),
    /// Nobody answered. It may work later.
    Unreachable(String),
    /// The cluster's owner does not want it now.
    Frozen(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(_) => Self::NotFound,
            Error::Forbidden(message) if is_rbac(&message) => Self::Right,
            Error::Forbidden(message) => of_forbidden(&message),
            Error::Status(status) => Self::from(*status),
            other => Self::Unreachable(cut(&other.to_string())),
        }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let kind = status.details.as_ref().map_or("", |details| details.kind.as_str());
        match status.code {
            404 if kind == "namespaces" => Self::NoNamespace,
            404 => Self::NotFound,
            409 => Self::Raced,
            403 if cause(&status, "NamespaceTerminating") => Self::NamespaceGoing,
            403 if is_rbac(&status.message) => Self::Right,
            403 => of_forbidden(&status.message),
            400 | 413 | 415 | 422 => Self::Refused(invalid(&status)),
            401 => {
                Self::Unreachable(String::from("the cluster does not accept the credential of the deployer"))
            }
            code => Self::Unreachable(format!("the cluster answered {code} {}", cut(&status.reason))),
        }
    }
}

impl Refusal {
    /// What is in the way of `feed`, and what helps. `resource` is known once its kind is.
    pub(crate) fn trouble(self, feed: &Feed, resource: Option<&Resource>, cluster: &str) -> Trouble {
        match self {
            Self::Right => {
                let why = match resource {
                    Some(resource) => {
                        format!("the deployer has no right to it in {cluster}. {}", grant(resource))
                    }
                    None => format!("the deployer has no right to see what {cluster} has"),
                };
                Trouble::new(reasons::FORBIDDEN, feed, why)
            }
            Self::Refused(why) => {
                Trouble::new(reasons::REFUSED, feed, format!("{cluster} refuses it: {why}"))
            }
            Self::NotFound | Self::Raced => {
                Trouble::new(reasons::REFUSED, feed, format!("it changes in {cluster} meanwhile")).passing()
            }
            Self::NoNamespace => {
                Trouble::new(reasons::REFUSED, feed, format!("its namespace does not exist in {cluster}"))
                    .passing()
            }
            Self::NamespaceGoing => {
                let why = format!("its namespace is being deleted in {cluster}; it is made again afterwards");
                Trouble::new(reasons::TERMINATING, feed, why).passing()
            }
            Self::Unreachable(why) => {
                Trouble::new(reasons::UNREACHABLE, feed, format!("{cluster} does not take it now: {why}"))
                    .passing()
            }
            Self::Frozen(why) => Trouble::of_description(reasons::FROZEN, why).passing(),
        }
    }
}

/// The `kubectl` command that grants the deployer what it needs.
pub(crate) fn grant(resource: &Resource) -> String {
    let Resource { group, plural, .. } = resource;
    let full = if group.is_empty() { plural.clone() } else { format!("{plural}.{group}") };
    let role = format!("clusterway-deploy-{full}");
    format!(
        "To grant it, in that cluster: kubectl create clusterrole {role} --verb=get,list,watch,create,patch,delete \
         --resource={full} && kubectl label clusterrole {role} {AGGREGATE_LABEL}=true"
    )
}

fn cause(status: &Status, reason: &str) -> bool {
    status.details.as_ref().is_some_and(|details| details.causes.iter().any(|cause| cause.reason == reason))
}

/// Whether it is RBAC that forbids it, for want of a rule.
fn is_rbac(message: &str) -> bool {
    message.contains(" is forbidden: User ") && message.contains(" cannot ")
}

fn of_forbidden(message: &str) -> Refusal {
    if message.contains(api::names::deployer::annotations::FROZEN) {
        return Refusal::Frozen(cut(message));
    }
    // The agent's own words.
    if message.starts_with("The agent ") {
        return Refusal::Refused(cut(message));
    }
    if message.contains("attempting to grant RBAC permissions not currently held") {
        return Refusal::Refused(String::from(
            "nobody can grant rights he does not have, nor can the deployer: give it the rights of this role, or the verbs \
             escalate and bind on it",
        ));
    }
    match kubeio::denier(message) {
        Some(denier) => Refusal::Refused(format!("{denier} denies it; its log tells why")),
        None if message.contains("exceeded quota") => {
            Refusal::Refused(String::from("a ResourceQuota of the namespace is used up"))
        }
        None => Refusal::Refused(String::from(
            "it is forbidden, and neither RBAC nor a webhook nor a policy says so",
        )),
    }
}

/// Which fields are wrong, and how, as far as that can be told without their values.
fn invalid(status: &Status) -> String {
    let causes = status.details.as_ref().map(|details| &details.causes[..]).unwrap_or_default();
    let told: Vec<String> =
        causes.iter().take(5).map(|cause| format!("{} {}", field(cause), how(cause))).collect();
    if !told.is_empty() {
        return cut(&told.join("; "));
    }
    match kubeio::denier(&status.message) {
        Some(denier) => format!("{denier} denies it; its log tells why"),
        None => format!(
            "it answers {} {} and does not say which field is wrong",
            status.code,
            cut(&status.reason)
        ),
    }
}

fn field(cause: &StatusCause) -> &str {
    if cause.field.is_empty() { "a field" } else { &cause.field }
}

/// The part of a cause's message that follows the value it quotes, if it is one of the API server's own sentences.
fn how(cause: &StatusCause) -> String {
    let sentences = [
        "field is immutable",
        "must ",
        "may not ",
        "should ",
        "updates to ",
        "can not ",
        "cannot ",
        "Too long: ",
    ];
    let last = cause.message.rsplit_once(": ").map_or(cause.message.as_str(), |(_, last)| last);
    let is_own = sentences.iter().any(|sentence| last.starts_with(sentence)) && !last.contains(['"', '{']);
    match (
        is_own,
        cause.message.starts_with("Required value"),
        cause.message.starts_with("Unsupported value"),
    ) {
        (true, ..) if last == "field is immutable" => String::from(
            "cannot be changed (field is immutable): delete the object in the cluster, and it is made anew",
        ),
        (true, ..) => format!("is not valid: {last}"),
        (_, true, _) => String::from("is missing"),
        (_, _, true) => String::from("has a value that is not supported"),
        _ => String::from("is not valid"),
    }
}

fn cut(message: &str) -> String {
    match message.char_indices().nth(WORDS) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use meta::StatusDetails;

    use super::*;

    fn status(code: u16, message: &str, kind: &str, causes: Vec<StatusCause>) -> Status {
        let details = StatusDetails { kind: kind.into(), causes, ..StatusDetails::default() };
        Status { details: Some(Box::new(details)), ..Status::new(code, "R", message) }
    }

    fn cause_of(field: &str, message: &str) -> StatusCause {
        StatusCause { reason: "FieldValueInvalid".into(), message: message.into(), field: field.into() }
    }

    #[test]
    fn a_missing_right_shows_the_line_that_grants_it() {
        let message = r#"widgets.demo.io "a" is forbidden: User "system:serviceaccount:x:y" cannot patch resource "widgets""#;
        let feed = Feed { kind: "Widget".into(), name: "a".into(), ..Feed::default() };
        let resource = Resource::new("demo.io", "v1", "widgets");
        let trouble = Refusal::from(Status::forbidden(message)).trouble(&feed, Some(&resource), "c1");
        assert_eq!(trouble.reason, "Forbidden");
        assert_eq!(
            trouble.to_string(),
            "Widget a: the deployer has no right to it in c1. To grant it, in that cluster: kubectl create clusterrole \
             clusterway-deploy-widgets.demo.io --verb=get,list,watch,create,patch,delete --resource=widgets.demo.io && \
             kubectl label clusterrole clusterway-deploy-widgets.demo.io apps.clusterway.io/aggregate-to-deployer=true"
        );
    }

    #[test]
    fn what_a_cluster_quotes_is_not_passed_on() {
        for (message, told) in [
            (
                "Invalid value: {\"a\":\"hunter2\"}: field is immutable",
                "spec.x cannot be changed (field is immutable): delete the object in the cluster, and it is made anew",
            ),
            (
                "Invalid value: \"hunter2\": must be no more than 63 characters",
                "spec.x is not valid: must be no more than 63 characters",
            ),
            ("Invalid value: \"hunter2\"", "spec.x is not valid"),
            ("Invalid value: \"a: hunter2\"", "spec.x is not valid"),
            ("Required value", "spec.x is missing"),
            (
                "Unsupported value: \"hunter2\": supported values: \"a\"",
                "spec.x has a value that is not supported",
            ),
        ] {
            let refusal =
                Refusal::from(status(422, message, "deployments", vec![cause_of("spec.x", message)]));
            assert_eq!(refusal, Refusal::Refused(told.into()), "{message}");
        }
        let denied = "admission webhook \"check.example.com\" denied the request: hunter2";
        let refusal = Refusal::from(Status::forbidden(denied));
        assert_eq!(
            refusal,
            Refusal::Refused("the admission webhook check.example.com denies it; its log tells why".into())
        );
    }

    #[test]
    fn a_missing_namespace_is_told_from_a_missing_object() {
        let of = |kind: &str| Refusal::from(status(404, "namespaces \"qux\" not found", kind, vec![]));
        assert_eq!(of("namespaces"), Refusal::NoNamespace);
        assert_eq!(of("deployments"), Refusal::NotFound);
    }
}
