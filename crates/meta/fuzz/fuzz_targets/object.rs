//! Foreign bytes as an object: what is kept is JSON, has the name that was read, and is read again as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use meta::RawObject;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(object) = RawObject::from_json(bytes, "v1", "Pod") else { return };
    assert_eq!(RawObject::from_json(&object.json, "", "").as_ref(), Ok(&object));
    // A tree may be nested too deeply for the reader; the object may not be.
    if let Ok(tree) = serde_json::from_slice::<Value>(&object.json) {
        assert_eq!(tree["metadata"]["name"], object.key.name);
        assert!(tree["metadata"].get("managedFields").is_none_or(Value::is_null));
        assert_eq!(tree["kind"].as_str().unwrap_or_default(), object.key.kind);
    }
});
