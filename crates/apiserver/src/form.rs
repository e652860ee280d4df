//! In which form a client wants objects, as Kubernetes' API servers offer them.

use http::HeaderMap;
use meta::Status;

use crate::negotiate;

/// A form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Objects under their own kinds.
    Objects,
    /// Only metadata, in this version of `meta.k8s.io`.
    Metadata(&'static str),
    /// A Table, in this version of `meta.k8s.io`.
    Table(&'static str),
}

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";

const FORMS: [(&str, Form); 8] = [
    (JSON, Form::Objects),
    ("application/json;as=Table;v=v1;g=meta.k8s.io", Form::Table("v1")),
    ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", Form::Table("v1beta1")),
    ("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", Form::Metadata("v1")),
    ("application/json;as=PartialObjectMetadataList;v=v1beta1;g=meta.k8s.io", Form::Metadata("v1beta1")),
    ("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", Form::Metadata("v1")),
    ("application/json;as=PartialObjectMetadata;v=v1beta1;g=meta.k8s.io", Form::Metadata("v1beta1")),
    (YAML, Form::Objects),
];

/// The form a client accepts, and the media type to call it.
///
/// YAML is answered with JSON, which is YAML too: every parser reads it, and it can be streamed.
///
/// # Errors
/// 406 for a client that takes none of them, such as one that asks for protobuf only.
pub fn accepted(headers: &HeaderMap) -> Result<(Form, &'static str), Status> {
    let offers = FORMS.map(|(offer, _)| offer);
    let chosen = negotiate(headers, &offers)?;
    let form = FORMS.iter().find(|(offer, _)| *offer == chosen).map_or(Form::Objects, |(_, form)| *form);
    Ok((form, if chosen == YAML { YAML } else { JSON }))
}

/// What a row of a Table holds beside its cells (`includeObject`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// The metadata.
    Metadata,
    /// The object.
    Object,
}

impl Include {
    /// Reads the parameter.
    pub fn parse(text: Option<&str>) -> Result<Self, Status> {
        match text {
            None | Some("" | "Metadata") => Ok(Self::Metadata),
            Some("None") => Ok(Self::None),
            Some("Object") => Ok(Self::Object),
            Some(_) => Err(Status::bad_request("includeObject: must be None, Metadata or Object")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: &str) -> Result<(Form, &'static str), u16> {
        let mut headers = HeaderMap::new();
        headers.insert("accept", accept.parse().unwrap());
        accepted(&headers).map_err(|status| status.code)
    }

    #[test]
    fn number_39_json_and_yaml_are_given_and_protobuf_alone_is_not() {
        assert_eq!(form("*/*"), Ok((Form::Objects, "application/json")));
        assert_eq!(form("application/yaml"), Ok((Form::Objects, "application/yaml")));
        assert_eq!(form("application/vnd.kubernetes.protobuf, application/json"), Ok((Form::Objects, JSON)));
        assert_eq!(form("application/vnd.kubernetes.protobuf"), Err(406));
        assert_eq!(form("application/xml"), Err(406));
    }

    #[test]
    fn kubectl_gets_the_newest_table() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(form(kubectl), Ok((Form::Table("v1"), JSON)));
    }
}
