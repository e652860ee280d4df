//! Slash-separated paths. The functions for the operating system's paths are the same: Clusterway runs on Linux.

use super::{Function, Type};
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    Function::new(&["base", "osBase"], &[Type::Text], |cx, args| cx.text(base(args.bytes(0)))),
    Function::new(&["dir", "osDir"], &[Type::Text], |cx, args| {
        let path = args.bytes(0);
        let end = path.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
        cx.text(clean(&path[..end]))
    }),
    Function::new(&["clean", "osClean"], &[Type::Text], |cx, args| cx.text(clean(args.bytes(0)))),
    Function::new(&["ext", "osExt"], &[Type::Text], |cx, args| {
        let path = args.bytes(0);
        let last = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
        let dot = last.iter().rposition(|b| *b == b'.').unwrap_or(last.len());
        cx.text(&last[dot..])
    }),
    Function::new(&["isAbs", "osIsAbs"], &[Type::Text], |_, args| {
        Ok(Value::Bool(args.bytes(0).starts_with(b"/")))
    }),
];

fn base(path: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        return b".".to_vec();
    }
    let end = path.iter().rposition(|b| *b != b'/').map_or(0, |at| at + 1);
    match path[..end].rsplit(|b| *b == b'/').next() {
        Some(last) if !last.is_empty() => last.to_vec(),
        _ => b"/".to_vec(),
    }
}

/// The shortest path that means the same.
fn clean(path: &[u8]) -> Vec<u8> {
    let is_rooted = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match parts.last() {
                Some(last) if *last != b".." => {
                    parts.pop();
                }
                _ if is_rooted => {}
                _ => parts.push(part),
            },
            part => parts.push(part),
        }
    }
    let relative = parts.join(&b'/');
    match (is_rooted, relative.is_empty()) {
        (true, _) => [b"/", &relative[..]].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => relative,
    }
}
