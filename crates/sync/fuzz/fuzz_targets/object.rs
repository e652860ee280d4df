//! Any bytes as a Secret from a cluster: refused, or an object of the same members in which no value is left.

#![no_main]

#[path = "../../src/object.rs"]
mod object;

/// As much of the rules as the object's file looks at.
mod rules {
    pub(crate) struct Target {
        pub(crate) keep_secret_data: bool,
    }

    impl Target {
        pub(crate) fn is_secrets(&self) -> bool {
            true
        }
    }
}

use libfuzzer_sys::fuzz_target;
use meta::RawObject;
use serde_json::Value;

fuzz_target!(|json: &[u8]| {
    let Ok(given) = RawObject::from_json(json, "v1", "Secret") else { return };
    let whole: Value = serde_json::from_slice(&given.json).unwrap();
    let Ok(kept) = object::stored(given.clone(), &rules::Target { keep_secret_data: true }) else { return };
    let kept: Value = serde_json::from_slice(&kept.json).unwrap();
    assert_eq!(kept["data"], whole["data"]);
    let Ok(stored) = object::stored(given, &rules::Target { keep_secret_data: false }) else { return };
    let stored: Value = serde_json::from_slice(&stored.json).unwrap();
    assert!(stored["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"].is_null());
    for values in [&stored["data"], &stored["stringData"]] {
        assert!(values.as_object().is_none_or(|values| values.values().all(|value| value == "")));
        assert!(values.is_object() || values.is_null());
    }
});
