//! Foreign objects: each is refused, or has a cell for each column.

#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

/// The kinds of which more than a few fields are read.
const KINDS: [(&str, &str, &str); 9] = [
    ("", "v1", "Pod"),
    ("", "v1", "Node"),
    ("", "v1", "Service"),
    ("", "v1", "Event"),
    ("", "v1", "Endpoints"),
    ("apps", "v1", "Deployment"),
    ("batch", "v1", "CronJob"),
    ("autoscaling", "v1", "HorizontalPodAutoscaler"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler"),
];

fuzz_target!(|data: &[u8]| {
    let now = Timestamp::constant(1_800_000_000, 0);
    for (group, version, kind) in KINDS {
        let printer = printers::printer(group, version, kind).unwrap();
        if let Ok(cells) = printer.cells(data, now) {
            assert_eq!(cells.len(), printer.columns().len());
        }
    }
});
