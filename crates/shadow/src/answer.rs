//! Objects in the form a client wants: whole, as metadata only, or as rows of a Table.

use apiserver::form::{Form, Include};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{catalogue::Kind, table::Columns};

/// How objects of one kind are written for one client.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    form: Form,
    include: Include,
    columns: Columns,
    kind: String,
    api_version: String,
    now: Timestamp,
}

impl Writer {
    pub(crate) fn new(kind: &Kind, form: Form, include: Include) -> Self {
        Self {
            form,
            include,
            columns: kind.columns(),
            kind: kind.kind.clone(),
            api_version: kind.api_version(kind.version()),
            now: Timestamp::now(),
        }
    }

    /// One object by itself.
    pub(crate) fn single(&self, object: Value) -> Value {
        match self.form {
            Form::Objects => object,
            Form::Metadata(version) => metadata(version, &object),
            Form::Table(version) => {
                let mut table = json!({
                    "kind": "Table",
                    "apiVersion": format!("meta.k8s.io/{version}"),
                    "metadata": { "resourceVersion": object["metadata"]["resourceVersion"] },
                    "columnDefinitions": self.columns.definitions(),
                });
                table["rows"] = Value::Array(vec![self.row(version, object)]);
                table
            }
        }
    }

    /// What stands before the items of a list.
    pub(crate) fn head(&self) -> String {
        match self.form {
            Form::Objects => start(&format!("{}List", self.kind), &self.api_version, "", "items"),
            Form::Metadata(version) => {
                start("PartialObjectMetadataList", &format!("meta.k8s.io/{version}"), "", "items")
            }
            Form::Table(version) => {
                let columns = format!(r#","columnDefinitions":{}"#, json!(self.columns.definitions()));
                start("Table", &format!("meta.k8s.io/{version}"), &columns, "rows")
            }
        }
    }

    /// One item of a list.
    pub(crate) fn item(&self, object: Value) -> Value {
        match self.form {
            Form::Table(version) => self.row(version, object),
            Form::Objects | Form::Metadata(_) => self.single(object),
        }
    }

    /// What stands behind the items: where the list goes on, and from where a watch does.
    pub(crate) fn tail(resource_version: &str, next: Option<&str>) -> String {
        let mut metadata = json!({ "resourceVersion": resource_version });
        if let Some(next) = next {
            metadata["continue"] = json!(next);
        }
        format!(r#"],"metadata":{metadata}}}"#)
    }

    /// The object of a bookmark.
    pub(crate) fn bookmark(&self, resource_version: &str, initial_events_end: bool) -> Value {
        let mut metadata = json!({ "resourceVersion": resource_version });
        if initial_events_end {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        self.single(json!({ "kind": self.kind, "apiVersion": self.api_version, "metadata": metadata }))
    }

    fn row(&self, version: &str, object: Value) -> Value {
        let mut row = json!({ "cells": self.columns.cells(&object, self.now) });
        match self.include {
            Include::None => {}
            Include::Metadata => row["object"] = metadata(version, &object),
            Include::Object => row["object"] = object,
        }
        row
    }
}

/// The beginning of a list, up to its items.
fn start(kind: &str, api_version: &str, more: &str, items: &str) -> String {
    format!(r#"{{"kind":{},"apiVersion":{}{more},"{items}":["#, json!(kind), json!(api_version))
}

fn metadata(version: &str, object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": object["metadata"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(group: &str, plural: &str, kind: &str) -> Kind {
        Kind {
            group: group.to_owned(),
            plural: plural.to_owned(),
            kind: kind.to_owned(),
            versions: vec!["v1".to_owned()],
            ..Kind::default()
        }
    }

    fn list(writer: &Writer, objects: Vec<Value>) -> Value {
        let items: Vec<String> = objects.into_iter().map(|object| writer.item(object).to_string()).collect();
        let text = format!("{}{}{}", writer.head(), items.join(","), Writer::tail("7", Some("token")));
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn h6_every_kind_has_a_table() {
        for (group, plural, of_kind) in [
            ("apps", "deployments", "Deployment"),
            ("", "configmaps", "ConfigMap"),
            ("rbac.authorization.k8s.io", "clusterroles", "ClusterRole"),
            ("", "limitranges", "LimitRange"),
            ("unknown.io", "things", "Thing"),
        ] {
            let writer = Writer::new(&kind(group, plural, of_kind), Form::Table("v1"), Include::Metadata);
            let table = list(&writer, vec![json!({ "metadata": { "name": "a" } })]);
            let columns = table["columnDefinitions"].as_array().unwrap().len();
            assert_eq!(table["rows"][0]["cells"].as_array().unwrap().len(), columns, "{plural}");
            assert_eq!(table["rows"][0]["cells"][0], "a", "{plural}");
            assert_eq!(table["metadata"], json!({ "resourceVersion": "7", "continue": "token" }));
        }
    }

    #[test]
    fn a_list_is_called_after_its_kind() {
        let writer = Writer::new(&kind("apps", "deployments", "Deployment"), Form::Objects, Include::None);
        let listed = list(&writer, vec![json!({ "a": "ITEMS" }), json!({})]);
        assert_eq!((&listed["kind"], &listed["apiVersion"]), (&json!("DeploymentList"), &json!("apps/v1")));
        assert_eq!(listed["items"], json!([{ "a": "ITEMS" }, {}]));
    }

    #[test]
    fn a_bookmark_is_of_the_kind_and_says_when_the_beginning_is_told() {
        let writer = Writer::new(&kind("apps", "deployments", "Deployment"), Form::Objects, Include::None);
        let bookmark = writer.bookmark("9", true);
        assert_eq!(bookmark["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
        assert_eq!(
            (&bookmark["kind"], &bookmark["metadata"]["resourceVersion"]),
            (&json!("Deployment"), &json!("9"))
        );
        assert_eq!(writer.bookmark("9", false)["metadata"]["annotations"], Value::Null);
    }
}
