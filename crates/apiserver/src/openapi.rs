//! `/openapi/v3` and `/openapi/v2`, from the OpenAPI 3 fragments the APIs bring.

use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderMap, Response};
use meta::Status;
use serde_json::{Map, Value, json};

use crate::{Api, Body, discovery::Document, negotiate};

/// Every OpenAPI document.
#[derive(Debug)]
pub(crate) struct OpenApi {
    documents: BTreeMap<String, Document>,
}

impl OpenApi {
    pub(crate) fn new(apis: &[Arc<dyn Api>], title: &str, version: &str) -> Self {
        let info = json!({ "title": title, "version": version });
        let mut documents = BTreeMap::new();
        let mut index = Map::new();
        let (mut definitions, mut paths) = (Map::new(), Map::new());
        for api in apis {
            let mut document = api.openapi();
            document["openapi"] = json!("3.0.0");
            document["info"] = info.clone();
            let place = format!("apis/{}/{}", api.group(), api.version());
            let own = format!("/openapi/v3/{place}");
            let stored = Document::new(&document);
            index.insert(place, json!({ "serverRelativeURL": format!("{own}?hash={}", stored.hash()) }));
            documents.insert(own, stored);
            if let Some(schemas) = document["components"]["schemas"].as_object() {
                definitions.extend(schemas.iter().map(|(name, schema)| (name.clone(), older_schema(schema))));
            }
            if let Some(of_api) = document["paths"].as_object() {
                paths.extend(of_api.iter().map(|(path, item)| (path.clone(), older_path(item))));
            }
        }
        documents.insert(String::from("/openapi/v3"), Document::new(&json!({ "paths": index })));
        let older = json!({ "swagger": "2.0", "info": info, "paths": paths, "definitions": definitions });
        documents.insert(String::from("/openapi/v2"), Document::new(&older));
        Self { documents }
    }

    /// The answer to an OpenAPI path, or `None` if it is not one.
    pub(crate) fn answer(&self, path: &str, headers: &HeaderMap) -> Option<Result<Response<Body>, Status>> {
        let document = self.documents.get(path.strip_suffix('/').unwrap_or(path))?;
        let offers = ["application/json"];
        Some(negotiate(headers, &offers).map(|media_type| document.answer(headers, media_type)))
    }
}

/// Keywords of OpenAPI 3 schemas that version 2 does not know.
const NEWER: [&str; 5] = ["nullable", "oneOf", "anyOf", "not", "deprecated"];

/// A schema as OpenAPI 2 writes it.
fn older_schema(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| !NEWER.contains(&key.as_str()))
            .map(|(key, value)| match (key.as_str(), value) {
                ("$ref", Value::String(target)) => {
                    (key.clone(), json!(target.replace("#/components/schemas/", "#/definitions/")))
                }
                // Names of properties are the schema's own, whatever they are.
                ("properties", Value::Object(properties)) => {
                    let older = properties.iter().map(|(name, schema)| (name.clone(), older_schema(schema)));
                    (key.clone(), Value::Object(older.collect()))
                }
                _ => (key.clone(), older_schema(value)),
            })
            .collect(),
        Value::Array(list) => list.iter().map(older_schema).collect(),
        other => other.clone(),
    }
}

/// A path item as OpenAPI 2 writes it.
fn older_path(item: &Value) -> Value {
    let Some(item) = item.as_object() else { return item.clone() };
    item.iter()
        .map(|(key, value)| {
            let older = match key.as_str() {
                "parameters" => older_parameters(value),
                "get" | "put" | "post" | "delete" | "options" | "head" | "patch" => older_operation(value),
                _ => value.clone(),
            };
            (key.clone(), older)
        })
        .collect()
}

fn older_operation(operation: &Value) -> Value {
    let mut older = operation.clone();
    let mut parameters = match older_parameters(&operation["parameters"]) {
        Value::Array(parameters) => parameters,
        _ => Vec::new(),
    };
    let mut consumes = Vec::new();
    if let Some(content) = operation["requestBody"]["content"].as_object() {
        consumes = content.keys().cloned().collect();
        let schema = content.values().next().map(|media| older_schema(&media["schema"]));
        parameters.push(json!({ "in": "body", "name": "body", "schema": schema }));
    }
    let mut produces = Vec::new();
    if let Some(responses) = older["responses"].as_object_mut() {
        for response in responses.values_mut() {
            if let Some(Value::Object(content)) =
                response.as_object_mut().and_then(|map| map.remove("content"))
            {
                produces.extend(content.keys().cloned());
                if let Some(media) = content.values().next() {
                    response["schema"] = older_schema(&media["schema"]);
                }
            }
        }
    }
    produces.sort();
    produces.dedup();
    if let Some(map) = older.as_object_mut() {
        map.remove("requestBody");
    }
    for (key, list) in
        [("parameters", json!(parameters)), ("consumes", json!(consumes)), ("produces", json!(produces))]
    {
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            older[key] = list;
        }
    }
    older
}

/// Parameters with their type at the top instead of in a schema.
fn older_parameters(parameters: &Value) -> Value {
    let Some(list) = parameters.as_array() else { return Value::Array(Vec::new()) };
    list.iter()
        .map(|parameter| {
            let mut older = parameter.clone();
            let schema = older.as_object_mut().and_then(|map| map.remove("schema"));
            if let (Some(map), Some(Value::Object(schema))) = (older.as_object_mut(), schema) {
                let inlined = schema.into_iter().filter(|(key, _)| !NEWER.contains(&key.as_str()));
                map.extend(inlined);
            }
            older
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_says_the_same_with_older_words() {
        let item = json!({
            "parameters": [{ "in": "path", "name": "name", "required": true, "schema": { "type": "string", "nullable": true } }],
            "post": {
                "operationId": "create",
                "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/A" } } } },
                "responses": { "200": { "description": "OK", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/A" } } } } },
            },
        });
        assert_eq!(
            older_path(&item),
            json!({
                "parameters": [{ "in": "path", "name": "name", "required": true, "type": "string" }],
                "post": {
                    "operationId": "create",
                    "consumes": ["application/json"],
                    "produces": ["application/json"],
                    "parameters": [{ "in": "body", "name": "body", "schema": { "$ref": "#/definitions/A" } }],
                    "responses": { "200": { "description": "OK", "schema": { "$ref": "#/definitions/A" } } },
                },
            })
        );
    }

    #[test]
    fn a_property_may_have_any_name() {
        let schema = json!({ "properties": { "not": { "type": "string", "nullable": true } } });
        assert_eq!(older_schema(&schema), json!({ "properties": { "not": { "type": "string" } } }));
    }
}
