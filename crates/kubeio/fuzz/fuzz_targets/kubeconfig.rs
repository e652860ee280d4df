//! A kubeconfig from a user.

#![no_main]

use kubeio::{ClusterAccess, FileReferences};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = ClusterAccess::from_kubeconfig(text, None, &FileReferences::Refused);
});
