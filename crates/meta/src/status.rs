//! `metav1.Status`: how the Kubernetes API says that a request failed, and why.

use serde::{Deserialize, Serialize};

/// A failed request in Kubernetes' own form. Every error that reaches a user over HTTP is one of these.
///
/// `code` is the HTTP status, `reason` a stable CamelCase word a program may match on, `message` a sentence for a
/// person. A message never holds a credential or an object's body.
///
/// ```
/// let status = meta::Status::not_found("no cluster with id 42 is registered");
/// assert_eq!(status.code, 404);
/// assert!(status.to_json().contains(r#""reason":"NotFound""#));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// HTTP status code, 400 to 599.
    pub code: u16,
    /// Stable machine-readable reason, for example `NotFound`.
    #[serde(default)]
    pub reason: String,
    /// A full sentence for a person.
    #[serde(default)]
    pub message: String,
    /// What the failure is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<StatusDetails>>,
}

/// The object or field a [`Status`] is about, and when to try again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusDetails {
    /// Name of the object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// API group of the object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Resource (plural) of the object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Single causes, for example one per bad field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<StatusCause>,
    /// Seconds after which the same request may succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

/// One cause of a failure, naming the field it is in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusCause {
    /// Stable machine-readable reason.
    #[serde(default)]
    pub reason: String,
    /// A sentence for a person.
    #[serde(default)]
    pub message: String,
    /// The field or parameter, for example `spec.clusterId`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident = $code:literal $reason:literal;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(message: impl Into<String>) -> Self {
                Self::new($code, $reason, message)
            }
        )*
    };
}

impl Status {
    /// A status with any code and reason; prefer the named constructors.
    pub fn new(code: u16, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), message: message.into(), details: None }
    }

    constructors! {
        /// 400: the request itself is wrong; the message names the parameter and the remedy.
        bad_request = 400 "BadRequest";
        /// 401: nobody, or nobody we could verify.
        unauthorized = 401 "Unauthorized";
        /// 403: known, but not allowed.
        forbidden = 403 "Forbidden";
        /// 404: there is no such thing.
        not_found = 404 "NotFound";
        /// 405: the path is right, the verb is not.
        method_not_allowed = 405 "MethodNotAllowed";
        /// 406: none of the accepted media types can be given.
        not_acceptable = 406 "NotAcceptable";
        /// 409: the object changed, or the name is taken.
        conflict = 409 "Conflict";
        /// 410: the position asked for is gone; start again.
        gone = 410 "Expired";
        /// 413: more than the limit; the message names the limit.
        too_large = 413 "RequestEntityTooLarge";
        /// 415: the body's media type is not understood.
        unsupported_media_type = 415 "UnsupportedMediaType";
        /// 422: well-formed, but not valid.
        invalid = 422 "Invalid";
        /// 429: over a limit; set [`Status::retry_after`].
        too_many_requests = 429 "TooManyRequests";
        /// 500: our fault.
        internal = 500 "InternalError";
        /// 502: the child answered with something that cannot be passed on.
        bad_gateway = 502 "BadGateway";
        /// 503: not now; set [`Status::retry_after`] where a time is known.
        unavailable = 503 "ServiceUnavailable";
        /// 504: the deadline passed.
        timeout = 504 "Timeout";
    }

    /// Says after how many seconds the caller should try again (also the `Retry-After` header).
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.details.get_or_insert_default().retry_after_seconds = Some(seconds);
        self
    }

    /// Names the object the failure is about.
    pub fn about(mut self, group: &str, resource: &str, name: &str) -> Self {
        let details = self.details.get_or_insert_default();
        details.group = group.to_owned();
        details.kind = resource.to_owned();
        details.name = name.to_owned();
        self
    }

    /// The object as JSON, with `kind`, `apiVersion` and `status: Failure`.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire<'a> {
            kind: &'static str,
            api_version: &'static str,
            metadata: serde_json::Map<String, serde_json::Value>,
            status: &'static str,
            message: &'a str,
            reason: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            details: Option<&'a StatusDetails>,
            code: u16,
        }
        let wire = Wire {
            kind: "Status",
            api_version: "v1",
            metadata: serde_json::Map::new(),
            status: "Failure",
            message: &self.message,
            reason: &self.reason,
            details: self.details.as_deref(),
            code: self.code,
        };
        serde_json::to_string(&wire).unwrap_or_else(|_| String::from(r#"{"kind":"Status","code":500}"#))
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} {})", self.message, self.code, self.reason)
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_survives_its_own_json() {
        let status = Status::too_many_requests("slow down").retry_after(3).about("g", "sockets", "x");
        let back: Status = serde_json::from_str(&status.to_json()).unwrap();
        assert_eq!(back, status);
    }
}
