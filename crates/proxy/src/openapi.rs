//! The OpenAPI v3 document of this group version.

use serde_json::{Value, json};

/// Paths and schemas of `proxies.clusternet.io/v1alpha1`.
pub(crate) fn document() -> Value {
    let base = format!("/apis/{}/{}/sockets/{{name}}", api::proxies::GROUP, api::proxies::VERSION);
    let name = json!({
        "name": "name", "in": "path", "required": true,
        "description": "The cluster's id.", "schema": { "type": "string", "uniqueItems": true }
    });
    let path = json!({
        "name": "path", "in": "path", "required": true,
        "description": "direct/PATH for the child's API server, or http/HOST/PATH or https/HOST/PATH for a server the agent allows.",
        "schema": { "type": "string", "uniqueItems": true }
    });
    let operation = |verb: &str, what: &str| {
        json!({
            "description": what,
            "tags": ["proxiesClusternetIo_v1alpha1"],
            "operationId": format!("{verb}ProxiesClusternetIoV1alpha1{}", what.split(' ').next().unwrap_or_default()),
            "responses": { "200": { "description": "OK", "content": { "*/*": { "schema": { "type": "string" } } } } },
            "x-kubernetes-action": "connect",
            "x-kubernetes-group-version-kind": { "group": api::proxies::GROUP, "version": api::proxies::VERSION, "kind": "Socket" }
        })
    };
    let methods = |parameters: Value, what: &str| {
        let mut item = json!({ "parameters": parameters });
        for verb in ["get", "post", "put", "patch", "delete", "head", "options"] {
            item[verb] = operation(verb, what);
        }
        item
    };
    json!({
        "paths": {
            format!("{base}/attach"): {
                "parameters": [name.clone()],
                "get": operation("get", "Connects the tunnel of the cluster's agent (WebSocket).")
            },
            format!("{base}/proxy/{{path}}"): methods(json!([name, path]), "Visits the cluster."),
        },
        "components": { "schemas": {
            "com.github.clusternet.proxies.v1alpha1.Socket": {
                "type": "object",
                "description": "The connection to one child. It is not stored: it can only be connected to.",
                "properties": { "path": { "type": "string", "description": "The path behind /proxy." } },
                "x-kubernetes-group-version-kind": [
                    { "group": api::proxies::GROUP, "version": api::proxies::VERSION, "kind": "Socket" }
                ]
            }
        } }
    })
}
