//! Whether a body is the object that the path speaks of.

use meta::{Status, StatusCause, is_dns_subdomain};
use rand::RngExt as _;
use serde_json::{Value, json};

use crate::{catalogue::Kind, object};

/// Fills in what the path says and the object leaves out, and refuses an object that says otherwise: of another kind, in
/// another namespace, with another name or a name that no object of its kind can have.
///
/// `name` is none for a new object, which then may have its name made from `generateName`.
///
/// # Errors
/// 400 for what contradicts the path, 422 for a name that is not legal.
pub(crate) fn place(
    object: &mut Value,
    kind: &Kind,
    namespace: Option<&str>,
    name: Option<&str>,
) -> Result<(), Status> {
    let (group, version) = object::group_version(object);
    if group != kind.group || !kind.versions.iter().any(|known| known == version) {
        return Err(Status::bad_request(format!(
            "The apiVersion of the object is {:?}; this path takes {}. Objects of another group are sent to their plural \
             with the group behind it, such as services.serving.knative.dev.",
            object["apiVersion"].as_str().unwrap_or_default(),
            kind.versions.iter().map(|version| kind.api_version(version)).collect::<Vec<_>>().join(" or ")
        )));
    }
    if object["kind"] != kind.kind.as_str() {
        return Err(Status::bad_request(format!(
            "The object is a {:?}; this path takes a {}.",
            object["kind"].as_str().unwrap_or_default(),
            kind.kind
        )));
    }
    if !object["metadata"].is_object() {
        return Err(Status::bad_request("The object has no metadata."));
    }
    match namespace {
        Some(namespace) => {
            let own = object::metadata(object, "namespace");
            if !own.is_empty() && own != namespace {
                return Err(Status::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
            object["metadata"]["namespace"] = json!(namespace);
        }
        None => drop(object::remove(object, &["metadata", "namespace"])),
    }
    if let Some(name) = name {
        let own = object::metadata(object, "name");
        if !own.is_empty() && own != name {
            return Err(Status::bad_request(format!(
                "the name of the object ({own}) does not match the name on the URL ({name})"
            )));
        }
        object["metadata"]["name"] = json!(name);
    } else {
        let prefix = object::metadata(object, "generateName").to_owned();
        if object::metadata(object, "name").is_empty() && !prefix.is_empty() {
            object["metadata"]["name"] = json!(generated(&prefix));
        }
    }
    object::remove(object, &["metadata", "generateName"]);
    names(object, kind, namespace)
}

fn names(object: &Value, kind: &Kind, namespace: Option<&str>) -> Result<(), Status> {
    let name = object::metadata(object, "name");
    let mut causes = Vec::new();
    if let Some(why) = why_no_name(kind, name) {
        causes.push(cause("metadata.name", name, why));
    }
    if let Some(namespace) = namespace.filter(|namespace| !is_dns_label(namespace)) {
        causes.push(cause("metadata.namespace", namespace, DNS_LABEL));
    }
    if causes.is_empty() { Ok(()) } else { Err(invalid(kind, name, causes)) }
}

/// What is wrong with an object, all at once, as Kubernetes says it.
pub(crate) fn invalid(kind: &Kind, name: &str, causes: Vec<StatusCause>) -> Status {
    let name = cut(name);
    let text: Vec<String> =
        causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
    let qualified =
        if kind.group.is_empty() { kind.kind.clone() } else { format!("{}.{}", kind.kind, kind.group) };
    let message = format!("{qualified} {name:?} is invalid: {}", text.join(", "));
    let mut status = Status::invalid(message).about(&kind.group, &kind.kind, name);
    status.details.get_or_insert_default().causes = causes;
    status
}

/// A name as far as it is repeated: one that is too long is no reason for an answer that is.
fn cut(name: &str) -> &str {
    const SHOWN: usize = 300;
    name.char_indices().nth(SHOWN).map_or(name, |(end, _)| &name[..end])
}

fn cause(field: &str, value: &str, why: &str) -> StatusCause {
    StatusCause {
        reason: String::from("FieldValueInvalid"),
        message: format!("Invalid value: {:?}: {why}", cut(value)),
        field: field.to_owned(),
    }
}

const DNS_LABEL: &str = "must be a DNS label: up to 63 lower-case letters, digits and hyphens, beginning and ending with a \
                         letter or digit";
const DNS_SUBDOMAIN: &str = "must be a DNS subdomain: up to 253 lower-case letters, digits, '-' and '.', beginning and \
                             ending with a letter or digit";
const SEGMENT: &str = "must be a segment of a path: not empty, not '.' or '..', without '/' and '%'";

/// Kubernetes' own groups have kinds whose names are no DNS names: roles (`system:node`), addresses.
fn why_no_name(kind: &Kind, name: &str) -> Option<&'static str> {
    if kind.group.is_empty() && kind.kind == "Namespace" {
        return (!is_dns_label(name)).then_some(DNS_LABEL);
    }
    if !kind.is_custom && kind.group.ends_with(".k8s.io") {
        let wrong = ["", ".", ".."].contains(&name)
            || name.contains(['/', '%'])
            || name.chars().any(char::is_control);
        return wrong.then_some(SEGMENT);
    }
    (!is_dns_subdomain(name)).then_some(DNS_SUBDOMAIN)
}

fn is_dns_label(text: &str) -> bool {
    text.len() <= 63 && !text.contains('.') && is_dns_subdomain(text)
}

/// A name that begins with `prefix`, with the letters Kubernetes takes.
fn generated(prefix: &str) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut random = rand::rng();
    let suffix = (0..5).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())]));
    prefix.chars().take(58).chain(suffix).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(group: &str, kind: &str) -> Kind {
        Kind {
            group: group.to_owned(),
            kind: kind.to_owned(),
            versions: vec!["v1".to_owned(), "v1beta1".to_owned()],
            ..Kind::default()
        }
    }

    fn object(api_version: &str, kind: &str, metadata: Value) -> Value {
        let mut object = json!({ "apiVersion": api_version, "kind": kind });
        object["metadata"] = metadata;
        object
    }

    #[test]
    fn what_the_path_says_is_filled_in() {
        let mut web = object("apps/v1", "Deployment", json!({ "name": "web" }));
        place(&mut web, &kind("apps", "Deployment"), Some("qux"), None).unwrap();
        assert_eq!(web["metadata"], json!({ "name": "web", "namespace": "qux" }));
    }

    #[test]
    fn an_object_that_contradicts_its_path_is_refused() {
        let deployment = kind("apps", "Deployment");
        for (api_version, of_kind, metadata) in [
            ("example.io/v1", "Deployment", json!({ "name": "web" })),
            ("apps/v2", "Deployment", json!({ "name": "web" })),
            ("apps/v1", "StatefulSet", json!({ "name": "web" })),
            ("apps/v1", "Deployment", json!({ "name": "other" })),
            ("apps/v1", "Deployment", json!({ "name": "web", "namespace": "other" })),
            ("apps/v1", "Deployment", Value::Null),
        ] {
            let mut wrong = object(api_version, of_kind, metadata);
            assert_eq!(
                place(&mut wrong, &deployment, Some("qux"), Some("web")).unwrap_err().code,
                400,
                "{wrong}"
            );
        }
    }

    #[test]
    fn any_version_that_the_parent_serves_is_taken() {
        let mut old = object("apps/v1beta1", "Deployment", json!({ "name": "web" }));
        assert_eq!(place(&mut old, &kind("apps", "Deployment"), Some("qux"), None), Ok(()));
    }

    #[test]
    fn every_name_that_kubernetes_takes_is_taken_and_no_other() {
        let legal = |kind: &Kind, name: &str| {
            let mut object = object(&kind.api_version("v1"), &kind.kind, json!({ "name": name }));
            place(&mut object, kind, None, None).map_err(|status| status.code)
        };
        let role = kind("rbac.authorization.k8s.io", "ClusterRole");
        assert_eq!(legal(&role, "system:Foo"), Ok(()));
        assert_eq!((legal(&role, ".."), legal(&role, "a/b")), (Err(422), Err(422)));
        assert_eq!(
            (legal(&kind("", "ConfigMap"), "a.b"), legal(&kind("", "ConfigMap"), "A")),
            (Ok(()), Err(422))
        );
        assert_eq!(
            (legal(&kind("", "Namespace"), "a"), legal(&kind("", "Namespace"), "a.b")),
            (Ok(()), Err(422))
        );
        assert_eq!(legal(&kind("", "ConfigMap"), ""), Err(422));
    }

    #[test]
    fn a_name_that_is_too_long_is_repeated_in_parts_only() {
        let mut object = object("v1", "ConfigMap", json!({ "name": "x".repeat(100_000) }));
        let refusal = place(&mut object, &kind("", "ConfigMap"), None, None).unwrap_err();
        assert!(json!(refusal).to_string().len() < 3_000, "{refusal:?}");
    }

    #[test]
    fn a_name_is_made_from_its_beginning() {
        let mut made = object("v1", "ConfigMap", json!({ "generateName": "web-" }));
        place(&mut made, &kind("", "ConfigMap"), Some("a"), None).unwrap();
        let name = object::metadata(&made, "name");
        assert!(name.starts_with("web-") && name.len() == 9, "{name}");
        assert_eq!(made["metadata"]["generateName"], Value::Null);
    }

    #[test]
    fn the_namespace_has_to_be_one_but_need_not_exist() {
        let mut map = object("v1", "ConfigMap", json!({ "name": "a" }));
        assert_eq!(place(&mut map, &kind("", "ConfigMap"), Some("a.b"), None).unwrap_err().code, 422);
    }
}
