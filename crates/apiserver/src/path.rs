//! What a request asks for, read from its method, path and query by the rules of Kubernetes' own RequestInfo.
//!
//! The part that names group, version, namespace, resource, name and subresource is decoded, and anything in it that
//! two servers could read differently is refused: encoded slashes, dot segments, empty segments, control characters.
//! What stands behind the subresource (the tail) is not ours to read: it stays raw and percent-encoded; only dot
//! segments are refused there, in every spelling, because whoever resolves them later leaves the place that was
//! authorised.
//!
//! Deliberately absent: the legacy prefixes `watch/` and `proxy/` before a resource, which are refused.

use http::{Method, Uri};
use percent_encoding::percent_decode_str;

/// A request, understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestInfo {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for other paths than
    /// resources the method in lower case. Empty for a resource and a method Kubernetes has no verb for.
    pub verb: String,
    /// API group; empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Namespace, if the path has one.
    pub namespace: Option<String>,
    /// Resource (plural).
    pub resource: String,
    /// Name of the object, if the path or a `metadata.name` field selector has one.
    pub name: Option<String>,
    /// Subresource, if the path has one.
    pub subresource: Option<String>,
    /// What follows the subresource: raw and percent-encoded, with its leading `/`, or empty.
    pub tail: String,
    /// The whole path, raw and percent-encoded.
    pub path: String,
    /// Whether the path names a resource, at least its group and version.
    pub is_resource: bool,
}

/// Why a path is not even looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The target is not a path: a full URL, an authority, or `*`.
    #[error("the request target is not an absolute path")]
    NotAPath,
    /// A percent escape is broken or does not decode to UTF-8.
    #[error("the path has a broken percent escape")]
    Encoding,
    /// A segment is `.` or `..`, in whatever spelling.
    #[error("the path has a dot segment")]
    DotSegment,
    /// A segment that names something is empty, or holds a slash, a percent sign or a control character.
    #[error("the path has a segment that cannot be a name")]
    Segment,
    /// `watch/` or `proxy/` stands before the resource.
    #[error("the path has a legacy watch or proxy prefix")]
    LegacyPrefix,
}

impl From<PathError> for meta::Status {
    fn from(error: PathError) -> Self {
        match error {
            PathError::NotAPath => Self::bad_request(
                "The request target must be an absolute path such as /apis, not a full URL.",
            ),
            PathError::Encoding => Self::bad_request(
                "The path holds a percent escape that is broken or not UTF-8; encode it again.",
            ),
            PathError::DotSegment => {
                Self::bad_request("The path holds a . or .. segment; send the path that is meant instead.")
            }
            PathError::Segment => Self::bad_request(
                "The path holds a segment that cannot name anything: empty, or with an encoded slash, a percent sign \
                 or a control character. Remove it.",
            ),
            PathError::LegacyPrefix => Self::not_found(
                "Paths with watch/ or proxy/ before the resource are not served; use ?watch=true or the proxy \
                 subresource.",
            ),
        }
    }
}

/// Subresources of `namespaces` itself: `/api/v1/namespaces/x/status` is not a resource `status` in namespace x.
const NAMESPACE_SUBRESOURCES: [&str; 2] = ["status", "finalize"];

impl RequestInfo {
    /// Reads a request's method and target. `uri` may have a scheme and host, as on HTTP/2; over HTTP/1.1 the caller
    /// refuses those first.
    pub fn parse(method: &Method, uri: &Uri) -> Result<Self, PathError> {
        let path = uri.path();
        if !path.starts_with('/') {
            return Err(PathError::NotAPath);
        }
        refuse_dot_segments(path)?;
        let mut info =
            Self { verb: method.as_str().to_ascii_lowercase(), path: path.to_owned(), ..Self::default() };
        let mut rest = Segments { rest: path };
        let (group, version) = match rest.next()?.as_deref() {
            Some("api") => (Some(String::new()), rest.next()?),
            Some("apis") => (rest.next()?, rest.next()?),
            _ => return Ok(info),
        };
        // `/apis/g/v` itself is a discovery document, not a resource.
        let (Some(group), Some(version), Some(first)) = (group, version, rest.next()?) else {
            return Ok(info);
        };
        info.is_resource = true;
        (info.group, info.version) = (group, version);
        info.read_object(first, &mut rest)?;
        info.verb = info.resource_verb(method, uri.query().unwrap_or_default()).to_owned();
        if info.name.is_none() && ["list", "watch"].contains(&info.verb.as_str()) {
            info.name = selected_name(uri.query().unwrap_or_default());
        }
        Ok(info)
    }

    fn read_object(&mut self, first: String, rest: &mut Segments<'_>) -> Result<(), PathError> {
        if first == "watch" || first == "proxy" {
            return Err(PathError::LegacyPrefix);
        }
        self.resource = first;
        self.name = rest.next()?;
        if self.resource == "namespaces"
            && let Some(namespace) = self.name.clone()
        {
            self.namespace = Some(namespace);
            match rest.next()? {
                Some(next) if !NAMESPACE_SUBRESOURCES.contains(&next.as_str()) => {
                    self.resource = next;
                    self.name = rest.next()?;
                }
                subresource => {
                    self.subresource = subresource;
                    rest.rest.clone_into(&mut self.tail);
                    return Ok(());
                }
            }
        }
        if self.name.is_some() {
            self.subresource = rest.next()?;
        }
        if self.subresource.is_some() {
            rest.rest.clone_into(&mut self.tail);
        }
        Ok(())
    }

    fn resource_verb(&self, method: &Method, query: &str) -> &'static str {
        match method.as_str() {
            "GET" | "HEAD" if self.name.is_some() => "get",
            "GET" | "HEAD" if asks_to_watch(query) => "watch",
            "GET" | "HEAD" => "list",
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" if self.name.is_none() => "deletecollection",
            "DELETE" => "delete",
            _ => "",
        }
    }
}

/// Whether a query has `watch` set, as Kubernetes reads booleans: anything but `false` and `0`, and even empty.
pub fn asks_to_watch(query: &str) -> bool {
    parameter(query, "watch").is_some_and(|value| !value.eq_ignore_ascii_case("false") && value != "0")
}

/// The first value of a query parameter, decoded.
pub fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode_query(key) == name).then(|| decode_query(value))
    })
}

fn decode_query(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// The name in `fieldSelector=metadata.name=x`, alone or among other terms.
fn selected_name(query: &str) -> Option<String> {
    let selector = parameter(query, "fieldSelector")?;
    selector.split(',').find_map(|term| {
        let (field, value) = term.split_once('=')?;
        let value = value.strip_prefix('=').unwrap_or(value);
        let usable = field == "metadata.name" && is_name(value);
        usable.then(|| value.to_owned())
    })
}

/// Refuses `.` and `..` between slashes, whether the dots or the slashes are written plainly or as escapes.
fn refuse_dot_segments(path: &str) -> Result<(), PathError> {
    let mut escapes = path.split('%');
    escapes.next();
    let broken = |escape: &str| escape.len() < 2 || !escape.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
    if escapes.any(broken) {
        return Err(PathError::Encoding);
    }
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    // Some servers take a backslash for a slash.
    let mut segments = decoded.split(|&byte| byte == b'/' || byte == b'\\');
    if segments.any(|segment| segment == b"." || segment == b"..") {
        return Err(PathError::DotSegment);
    }
    Ok(())
}

fn is_name(segment: &str) -> bool {
    !segment.is_empty()
        && segment != "."
        && segment != ".."
        && !segment.chars().any(|c| c == '/' || c == '\\' || c == '%' || c.is_control())
}

/// Takes a raw path apart from the left, one decoded segment at a time.
struct Segments<'a> {
    rest: &'a str,
}

impl Segments<'_> {
    /// The next segment; `None` at the end, which one final slash does not change.
    fn next(&mut self) -> Result<Option<String>, PathError> {
        let Some(behind) = self.rest.strip_prefix('/').filter(|behind| !behind.is_empty()) else {
            return Ok(None);
        };
        let end = behind.find('/').unwrap_or(behind.len());
        let (segment, rest) = behind.split_at(end);
        let decoded = percent_decode_str(segment).decode_utf8().map_err(|_| PathError::Encoding)?;
        if !is_name(&decoded) {
            return Err(PathError::Segment);
        }
        self.rest = rest;
        Ok(Some(decoded.into_owned()))
    }
}

#[cfg(test)]
#[path = "path/tests.rs"]
mod tests;
