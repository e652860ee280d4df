//! Foreign bytes as a list and as a watch: the same in any chunks, no object above the limit, and what serde_json takes
//! for a list is one, with the same items.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use meta::{ListMeta, ListScanner, ScanError, WatchEvent, WatchScanner};
use serde_json::Value;

const LIMIT: usize = 64;

fn list(chunks: impl Iterator<Item = Bytes>, limit: usize) -> Result<(Vec<Bytes>, ListMeta), ScanError> {
    let mut scanner = ListScanner::with_limit(limit);
    let mut items = Vec::new();
    for chunk in chunks {
        scanner.push(chunk);
        while let Some(item) = scanner.next_item()? {
            assert!(item.len() <= limit && item.starts_with(b"{") && item.ends_with(b"}"));
            items.push(item);
        }
    }
    Ok((items, scanner.finish()?))
}

fn watch(chunks: impl Iterator<Item = Bytes>) -> Result<Vec<WatchEvent>, ScanError> {
    let mut scanner = WatchScanner::with_limit(LIMIT);
    let mut events = Vec::new();
    for chunk in chunks {
        scanner.push(chunk);
        while let Some(event) = scanner.next_event()? {
            events.push(event);
        }
    }
    scanner.finish()?;
    Ok(events)
}

fn pieces(bytes: &[u8], size: usize) -> impl Iterator<Item = Bytes> {
    bytes.chunks(size).map(Bytes::copy_from_slice)
}

fuzz_target!(|data: &[u8]| {
    let Some((size, bytes)) = data.split_first() else { return };
    let size = usize::from(*size % 16) + 1;
    let whole = list(pieces(bytes, usize::MAX), LIMIT);
    let parts = list(pieces(bytes, size), LIMIT);
    assert_eq!(whole.is_ok(), parts.is_ok());
    if let (Ok(whole), Ok(parts)) = (whole, parts) {
        assert_eq!(whole, parts);
    }
    let (whole, parts) = (watch(pieces(bytes, usize::MAX)), watch(pieces(bytes, size)));
    assert_eq!(whole.is_ok(), parts.is_ok());
    if let (Ok(whole), Ok(parts)) = (whole, parts) {
        assert_eq!(whole, parts);
    }
    if let Ok(Value::Object(fields)) = serde_json::from_slice(bytes)
        && let Some(Value::Array(expected)) = fields.get("items")
        && let Ok((items, _)) = list(pieces(bytes, size), usize::MAX)
    {
        let items: Vec<Value> = items.iter().map(|item| serde_json::from_slice(item).unwrap()).collect();
        assert_eq!(&items, expected);
    }
});
