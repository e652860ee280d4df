use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Status;

/// Feeds `text` in pieces that end at `cuts`.
fn chunks<'a>(text: &'a [u8], cuts: &'a [usize]) -> impl Iterator<Item = Bytes> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
    ends.push(text.len());
    ends.sort_unstable();
    let mut begin = 0;
    ends.into_iter().map(move |end| Bytes::copy_from_slice(&text[std::mem::replace(&mut begin, end)..end]))
}

fn list(text: &[u8], cuts: &[usize], limit: usize) -> Result<(Vec<Bytes>, ListMeta), ScanError> {
    let mut scanner = ListScanner::with_limit(limit);
    let mut items = Vec::new();
    for chunk in chunks(text, cuts) {
        scanner.push(chunk);
        while let Some(item) = scanner.next_item()? {
            items.push(item);
        }
    }
    Ok((items, scanner.finish()?))
}

fn watch(text: &[u8], cuts: &[usize], limit: usize) -> Result<Vec<WatchEvent>, ScanError> {
    let mut scanner = WatchScanner::with_limit(limit);
    let mut events = Vec::new();
    for chunk in chunks(text, cuts) {
        scanner.push(chunk);
        while let Some(event) = scanner.next_event()? {
            events.push(event);
        }
    }
    scanner.finish()?;
    Ok(events)
}

fn whole_list(text: &str) -> Result<(Vec<Bytes>, ListMeta), ScanError> {
    list(text.as_bytes(), &[], 1000)
}

#[test]
fn the_fields_of_a_list_may_come_in_any_order() {
    let items = r#""items":[{"a":1},{"b":"}]"}]"#;
    let metadata = r#""metadata":{"resourceVersion":"7","continue":"abc","remainingItemCount":3}"#;
    let rest = r#""kind" : "PodList", "apiVersion":"v1","unknown":[1,{"items":[]}]"#;
    for text in [
        format!("{{{rest},{metadata},{items}}}"),
        format!("{{{items},{metadata},{rest}}}"),
        format!(" {{ {metadata} ,\n{items}\t,{rest} }} \n"),
    ] {
        let (found, meta) = whole_list(&text).unwrap();
        assert_eq!(found, [r#"{"a":1}"#, r#"{"b":"}]"}"#]);
        let expected = ListMeta {
            api_version: "v1".into(),
            kind: "PodList".into(),
            resource_version: "7".into(),
            continue_token: Some("abc".into()),
            remaining_item_count: Some(3),
        };
        assert_eq!(meta, expected);
    }
}

#[test]
fn an_empty_list_has_no_items_whether_empty_or_null() {
    for items in ["[]", " [ ] ", "null"] {
        let (found, meta) =
            whole_list(&format!(r#"{{"metadata":{{"continue":""}},"items":{items}}}"#)).unwrap();
        assert_eq!((found, meta), (Vec::new(), ListMeta::default()));
    }
}

#[test]
fn an_object_without_items_is_no_list() {
    let error = whole_list(r#"{"kind":"Status","code":500}"#).unwrap_err();
    assert_eq!(error, ScanError::Malformed { offset: 28, expected: "a list with items" });
}

#[test]
fn a_list_cut_off_anywhere_is_truncated() {
    let text = br#" {"items":[{"a":"x\"y"},{}],"metadata":{"resourceVersion":"1"},"x":12}"#;
    for end in 0..text.len() {
        let error = list(&text[..end], &[], 1000).unwrap_err();
        assert_eq!(error, ScanError::Truncated { offset: end as u64 });
    }
    assert!(list(text, &[], 1000).is_ok());
}

#[test]
fn what_is_no_list_is_malformed_and_stays_so() {
    for bad in [
        "[]",
        "x",
        "{]",
        r#"{"items"[]}"#,
        r#"{"items":{}}"#,
        r#"{"items":nul}"#,
        r#"{"items":[1]}"#,
        r#"{"items":[{},]}"#,
        r#"{"items":[,{}]}"#,
        r#"{"items":[{} {}]}"#,
        r#"{"items":[{]]}"#,
        r#"{"items":[{"a":[1}]}"#,
        r#"{"items":[],}"#,
        r#"{"items":[]]"#,
        r#"{"items":[],"items":[]}"#,
        r#"{"items":[],"kind":3}"#,
        r#"{"items":[],"x":truth}"#,
        r#"{"items":[],"x":}"#,
        r#"{"items":[],"metadata":{"remainingItemCount":"3"}}"#,
        r#"{"items":[]}{"#,
        r#"{"items":[]},"#,
    ] {
        assert!(matches!(whole_list(bad), Err(ScanError::Malformed { .. })), "{bad}");
    }
    let mut scanner = ListScanner::default();
    scanner.push("[".into());
    let error = scanner.next_item().unwrap_err();
    scanner.push("{".into());
    assert_eq!(scanner.next_item().unwrap_err(), error);
    assert_eq!(scanner.finish().unwrap_err(), error);
}

#[test]
fn an_item_above_the_limit_is_refused_and_never_held() {
    let text = format!(r#"{{"items":[{{"a":"{}"}}]}}"#, "x".repeat(92));
    assert_eq!(list(text.as_bytes(), &[50], 100).unwrap().0.len(), 1);
    let error = list(text.as_bytes(), &[50], 99).unwrap_err();
    assert!(matches!(error, ScanError::TooLarge { limit: 99, .. }));
    let mut scanner = ListScanner::with_limit(1000);
    scanner.push(r#"{"items":[{"a":""#.into());
    let pushed = (0..).take_while(|_| {
        scanner.push(Bytes::from_static(&[b'x'; 100]));
        scanner.next_item().is_ok()
    });
    assert_eq!(pushed.count(), 9);
}

#[test]
fn chunks_pushed_without_taking_are_kept_in_order() {
    let mut scanner = ListScanner::default();
    for chunk in [r#"{"items":[{"#, r#""a":1}"#, ",{}", "]}"] {
        scanner.push(chunk.into());
    }
    assert_eq!(scanner.next_item().unwrap().unwrap(), r#"{"a":1}"#);
    assert_eq!(scanner.next_item().unwrap().unwrap(), "{}");
    assert_eq!(scanner.next_item(), Ok(None));
    assert!(scanner.finish().is_ok());
}

#[test]
fn nesting_costs_no_stack() {
    let deep = format!("{}{}", "[".repeat(400_000), "]".repeat(400_000));
    let text = format!(r#"{{"x":{deep},"items":[{{"a":{deep}}}]}}"#);
    assert_eq!(list(text.as_bytes(), &[300_000], 1 << 20).unwrap().0.len(), 1);
}

#[test]
fn a_watch_gives_its_events_in_order() {
    let text = concat!(
        r#"{"type":"ADDED","object":{"n":1}}"#,
        "\n",
        r#"{"object":{"n":2},"type":"MODIFIED"}"#,
        r#" {"type":"DELETED", "later":[], "object": {"n":3} }"#,
        r#"{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"9"}}}"#,
        r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"10","annotations":{"k8s.io/initial-events-end":"true"}}}}"#,
        r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"#,
        "\n"
    );
    let bookmark = |rv: &str, end| Bookmark { resource_version: rv.into(), initial_events_end: end };
    let expected = [
        WatchEvent::Added(r#"{"n":1}"#.into()),
        WatchEvent::Modified(r#"{"n":2}"#.into()),
        WatchEvent::Deleted(r#"{"n":3}"#.into()),
        WatchEvent::Bookmark(bookmark("9", false)),
        WatchEvent::Bookmark(bookmark("10", true)),
        WatchEvent::Error(Status::gone("too old")),
    ];
    assert_eq!(watch(text.as_bytes(), &[], 1000).unwrap(), expected);
    let every_byte: Vec<usize> = (0..text.len()).collect();
    assert_eq!(watch(text.as_bytes(), &every_byte, 1000).unwrap(), expected);
}

#[test]
fn what_is_no_watch_is_malformed() {
    for bad in [
        "[]",
        "{}",
        r#"{"type":"ADDED"}"#,
        r#"{"object":{}}"#,
        r#"{"type":"ADDED","object":null}"#,
        r#"{"type":"ADDED","object":[]}"#,
        r#"{"type":"added","object":{}}"#,
        r#"{"type":1,"object":{}}"#,
        r#"{"type":"BOOKMARK","object":{}}"#,
        r#"{"type":"ERROR","object":{"code":"x"}}"#,
        r#"{"type":"ADDED","object":{}},"#,
    ] {
        assert!(matches!(watch(bad.as_bytes(), &[], 1000), Err(ScanError::Malformed { .. })), "{bad}");
    }
    for cut in [r#"{"type":"ADDED","object":{}"#, r#"{"type":"ADDED","object":{}}{"#, "{"] {
        assert!(matches!(watch(cut.as_bytes(), &[], 1000), Err(ScanError::Truncated { .. })), "{cut}");
    }
    assert_eq!(watch(b"", &[], 1000), Ok(Vec::new()));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<i16>().prop_map(|eighths| (f64::from(eighths) / 8.0).into()),
        "[a{}\\[\\]\",\\\\é\n]{0,6}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[ab\"\\\\{]{0,3}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-c\"]{0,3}", value(), 0..4)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

/// JSON text of a value, compact or with white space.
fn text(value: &Value, pretty: bool) -> Vec<u8> {
    if pretty { serde_json::to_vec_pretty(value) } else { serde_json::to_vec(value) }.unwrap()
}

fn parsed(bytes: &[Bytes]) -> Vec<Value> {
    bytes.iter().map(|bytes| serde_json::from_slice(bytes).unwrap()).collect()
}

proptest! {
    #[test]
    fn a_list_in_any_chunks_is_the_list_as_a_whole(
        items in prop::collection::vec(object(), 0..6),
        other in value(),
        pretty: bool,
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let whole = json!({"a": other, "items": items, "kind": "List", "metadata": {"resourceVersion": "5"}});
        let (found, meta) = list(&text(&whole, pretty), &cuts, 1 << 20).unwrap();
        prop_assert_eq!(parsed(&found), items);
        prop_assert_eq!(meta.resource_version, "5");
    }

    #[test]
    fn a_watch_in_any_chunks_is_the_watch_as_a_whole(
        objects in prop::collection::vec(object(), 0..6),
        pretty: bool,
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let stream: Vec<u8> =
            objects.iter().flat_map(|object| text(&json!({"type": "ADDED", "object": object}), pretty)).collect();
        let found: Vec<Bytes> = watch(&stream, &cuts, 1 << 20).unwrap().into_iter().map(|event| match event {
            WatchEvent::Added(object) => object,
            other => panic!("{other:?}"),
        }).collect();
        prop_assert_eq!(parsed(&found), objects);
    }

    #[test]
    fn any_bytes_give_the_same_in_any_chunks(
        bytes in "[{}\\[\\]\",:\\\\ itemsnul1]{0,60}",
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let list_text = format!("{{\"items\":[{bytes}");
        prop_assert_eq!(
            list(list_text.as_bytes(), &[], 40).map_err(|error| std::mem::discriminant(&error)),
            list(list_text.as_bytes(), &cuts, 40).map_err(|error| std::mem::discriminant(&error))
        );
        prop_assert_eq!(
            watch(bytes.as_bytes(), &[], 40).map_err(|error| std::mem::discriminant(&error)),
            watch(bytes.as_bytes(), &cuts, 40).map_err(|error| std::mem::discriminant(&error))
        );
    }
}

#[test]
fn the_rows_of_a_table_are_items_for_whoever_takes_tables() {
    let table = br#"{"kind":"Table","columnDefinitions":[{"name":"Name"}],"rows":[{"cells":["a"]},{"cells":["b"]}],"metadata":{}}"#;
    let mut scanner = ListScanner::default().with_tables();
    scanner.push(Bytes::from_static(table));
    let rows: Vec<Bytes> = std::iter::from_fn(|| scanner.next_item().unwrap()).collect();
    assert_eq!(rows, [r#"{"cells":["a"]}"#, r#"{"cells":["b"]}"#]);
    assert_eq!(scanner.finish().unwrap().kind, "Table");
    assert!(list(table, &[], 1000).is_err());
}
