//! Any bytes as a stored object: broken, or JSON in which nothing but what is ours differs.

#![no_main]

#[path = "../../src/object.rs"]
#[allow(dead_code)]
mod object;

use api::names::search::annotations;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use object::{Object, Shape};
use serde_json::{Value, json};
use store::{ClusterName, Position, Resource, Row, Version};

fuzz_target!(|json: &[u8]| {
    let position = Position {
        cluster: ClusterName::new("c1"),
        resource: Resource::new("apps", "v1", "deployments"),
        namespace: String::from("default"),
        name: String::from("web"),
        created: 0,
        version: Version::Number(17),
        sequence: 5,
    };
    let row = Row { position, uid: String::new(), json: Bytes::copy_from_slice(json) };
    let mut out = Vec::new();
    let Ok(()) = Object::of(&row).and_then(|object| object.write(Shape::Metadata("v1"), &mut out)) else { return };
    let metadata: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(metadata["metadata"]["annotations"][annotations::CLUSTER_NAME], "c1");
    out.clear();
    Object::of(&row).unwrap().write(Shape::AsStored, &mut out).unwrap();
    let (mut whole, mut before): (Value, Value) =
        (serde_json::from_slice(&out).unwrap(), serde_json::from_slice(json).unwrap());
    assert_eq!(whole["metadata"]["resourceVersion"], json!("5"));
    for object in [&mut whole, &mut before] {
        object.as_object_mut().unwrap().remove("metadata");
    }
    assert_eq!(whole, before);
});
