//! The parent's API server: objects read as they are, and the few writes.
//!
//! Nothing is decoded into types here but what is asked for, no answer is logged, and of a refusal nothing is repeated that
//! could quote a credential.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
pub(crate) use kubeio::Write;
use kubeio::{Error, Lane, Transport};
use meta::Status;
use serde_json::Value;

/// The largest object that is read; etcd allows 1.5 MiB.
const LARGEST: usize = 4 << 20;
/// What is passed on of a refusal's words.
const WORDS: usize = 600;

/// Whoever reads objects of the parent: the hub, or somebody who tries a policy.
pub(crate) trait Reader: Send + Sync {
    /// The object at a path; nothing if there is none.
    fn read<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Value>, Error>>;
}

/// The parent as the controllers see it.
pub(crate) trait Parent: Reader {
    /// Writes.
    fn write(&self, write: Write) -> BoxFuture<'_, Result<(), Refusal>>;
}

/// Why something was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Somebody else was faster: look again.
    Raced,
    /// It is refused, and would be again. A sentence for people; `about_owner` tells whether the owner is the reason.
    Refused { why: String, about_owner: bool },
    /// It may work later.
    Later(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Raced => "somebody else was faster",
            Self::Refused { why, .. } | Self::Later(why) => why,
        })
    }
}

impl std::error::Error for Refusal {}

/// The way to the parent over its client.
pub fn over(client: Client) -> Arc<dyn Transport> {
    Arc::new(OverClient(client))
}

struct OverClient(Client);

impl Transport for OverClient {
    fn send(
        &self,
        request: Request<Bytes>,
        _lane: Lane,
    ) -> BoxFuture<'_, Result<http::Response<kubeio::Body>, Error>> {
        Box::pin(async move {
            match self.0.send(request.map(kube::client::Body::from)).await {
                Ok(response) => Ok(response.map(|body| body.map_err(Into::into).boxed_unsync())),
                Err(kube::Error::Auth(_)) => {
                    Err(Error::Unauthorized(String::from("the credential cannot be read")))
                }
                Err(error) => Err(Error::Unreachable(error.to_string())),
            }
        })
    }
}

/// The real parent.
pub(crate) struct KubeParent(pub(crate) Arc<dyn Transport>);

impl Reader for KubeParent {
    fn read<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Value>, Error>> {
        Box::pin(read(&*self.0, path))
    }
}

impl Parent for KubeParent {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move {
            let deletes = matches!(write, Write::Delete(..));
            let request = write.request(api::names::HUB_FIELD_MANAGER);
            let request = request.map_err(|error| Refusal::Later(error.to_string()))?;
            let answer = kubeio::call(&*self.0, request, LARGEST).await;
            match answer.map_err(|error| Refusal::Later(error.to_string()))? {
                Err(status) if !(deletes && status.code == 404) => Err(refusal(&status)),
                _ => Ok(()),
            }
        })
    }
}

/// The object at a path; nothing if there is none.
async fn read(transport: &dyn Transport, path: &str) -> Result<Option<Value>, Error> {
    let body = match kubeio::get(transport, path, LARGEST).await {
        Ok(body) => body,
        Err(Error::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut object: Value =
        serde_json::from_slice(&body).map_err(|_| Error::Broken(String::from("it is no object as JSON")))?;
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    Ok(Some(object))
}

/// What a refusal means. Kubernetes quotes the values it refuses, so only words that cannot hold one are passed on: those
/// about what the caller may do, those of rules over a whole spec, and the names of fields.
fn refusal(status: &Status) -> Refusal {
    let says_owner = |text: &str| text.contains("ownerReferences") || text.contains("blockOwnerDeletion");
    match status.code {
        409 => Refusal::Raced,
        404 => Refusal::Later(String::from("the API server does not have it (404)")),
        403 => {
            let about_owner = says_owner(&status.message) && kubeio::denier(&status.message).is_none();
            Refusal::Refused { why: forbidden(&status.message, about_owner), about_owner }
        }
        400 | 422 => {
            let causes = status.details.as_ref().map(|details| &details.causes[..]).unwrap_or_default();
            let told = causes.iter().map(|cause| match cause.field.as_str() {
                "" => String::from("an unnamed field"),
                "spec" | "<nil>" | "metadata.name" => format!("{}: {}", cause.field, cut(&cause.message)),
                field => format!("{field} is not valid"),
            });
            let told = told.collect::<Vec<_>>().join("; ");
            let about_owner = causes.iter().any(|cause| says_owner(&cause.field));
            let told = match kubeio::denier(&status.message) {
                _ if !told.is_empty() => told,
                Some(denier) => format!("{denier} denies it; its log tells why"),
                None => String::from("it does not say which field is wrong"),
            };
            Refusal::Refused {
                why: format!("the API server does not accept it ({}): {told}", status.code),
                about_owner,
            }
        }
        code => Refusal::Later(format!("the API server answered {code} {}", status.reason)),
    }
}

/// Of a 403 only what RBAC says is passed on: whoever else denies may quote what it was shown.
fn forbidden(message: &str, about_owner: bool) -> String {
    if let Some(denier) = kubeio::denier(message) {
        return format!("{denier} denies it; its log tells why");
    }
    if about_owner {
        return String::from(
            "the API server forbids it: the hub may not update pediaclusterlifecycles/finalizers, which an owner reference \
             needs",
        );
    }
    match message.split_once(" is forbidden: User ") {
        Some((_, who)) if who.contains(" cannot ") => {
            format!("the API server forbids it: User {}", cut(who))
        }
        _ => String::from(
            "the API server forbids it, and neither RBAC nor a webhook nor a policy says so (403)",
        ),
    }
}

fn cut(message: &str) -> String {
    message.chars().take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use meta::{StatusCause, StatusDetails};

    use super::*;

    fn invalid(field: &str, message: &str) -> Status {
        let cause = StatusCause { field: field.into(), message: message.into(), ..StatusCause::default() };
        let details = StatusDetails { causes: vec![cause], ..StatusDetails::default() };
        Status { details: Some(Box::new(details)), ..Status::invalid(format!("everything: {message}")) }
    }

    #[test]
    fn what_the_api_server_quotes_is_not_passed_on() {
        let told = refusal(&invalid("spec.tokenData", "Invalid value: \"hunter2\"")).to_string();
        assert_eq!(told, "the API server does not accept it (422): spec.tokenData is not valid");
        let told =
            refusal(&invalid("spec", "Invalid value: \"object\": clusterId: remove apiserver")).to_string();
        assert!(told.ends_with("spec: Invalid value: \"object\": clusterId: remove apiserver"), "{told}");
        let told = refusal(&Status::new(500, "InternalError", "hunter2")).to_string();
        assert_eq!(told, "the API server answered 500 InternalError");
    }

    #[test]
    fn of_what_is_forbidden_only_the_words_of_rbac_are_passed_on() {
        let told = |message: &str| refusal(&Status::forbidden(message)).to_string();
        let rbac = "pediaclusters.x \"a\" is forbidden: User \"hub\" cannot patch resource \"pediaclusters\"";
        assert_eq!(
            told(rbac),
            "the API server forbids it: User \"hub\" cannot patch resource \"pediaclusters\""
        );
        let webhook = "admission webhook \"check.example.com\" denied the request: token hunter2 is forbidden: User x cannot";
        assert_eq!(told(webhook), "the admission webhook check.example.com denies it; its log tells why");
        let policy = "a is forbidden: ValidatingAdmissionPolicy 'fence' with binding 'b' denied request: hunter2 ownerReferences";
        assert_eq!(told(policy), "the ValidatingAdmissionPolicy fence denies it; its log tells why");
        assert!(!told("hunter2").contains("hunter2"));
        let status = Status::new(400, "BadRequest", webhook);
        assert!(
            refusal(&status).to_string().ends_with("webhook check.example.com denies it; its log tells why")
        );
    }

    #[test]
    fn it_is_told_whether_the_owner_is_the_reason() {
        let status =
            Status::forbidden("cannot set blockOwnerDeletion if an ownerReference refers to a resource");
        assert!(matches!(refusal(&status), Refusal::Refused { about_owner: true, .. }));
        let status = invalid("metadata.ownerReferences.uid", "must not be empty");
        assert!(matches!(refusal(&status), Refusal::Refused { about_owner: true, .. }));
        assert!(matches!(refusal(&Status::forbidden("no")), Refusal::Refused { about_owner: false, .. }));
        assert_eq!(refusal(&Status::conflict("newer")), Refusal::Raced);
    }
}
