//! Where a page ended: the position of an object in every order, and the token a client carries it in.

use std::cmp::Ordering;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{ClusterName, Error, OrderBy, OrderField, Query, Resource};

/// Everything an object can be ordered by. It says where the object is, or was, in any order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The cluster.
    #[serde(rename = "c")]
    pub cluster: ClusterName,
    /// The resource.
    #[serde(rename = "r")]
    pub resource: Resource,
    /// The namespace, or empty.
    #[serde(rename = "s")]
    pub namespace: String,
    /// The name.
    #[serde(rename = "n")]
    pub name: String,
    /// When it was created, in seconds since 1970.
    #[serde(rename = "t")]
    pub created: i64,
    /// The child's resourceVersion.
    #[serde(rename = "v")]
    pub version: Version,
    /// The sequence number of its last change.
    #[serde(rename = "q")]
    pub sequence: u64,
}

/// A child's resourceVersion as something to order by: numbers first and by value, then texts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Version {
    /// A decimal number without leading zeros.
    Number(i64),
    /// Anything else.
    Text(String),
}

impl Version {
    /// Reads `text`; [`std::fmt::Display`] gives it back unchanged.
    pub fn new(text: &str) -> Self {
        match text.parse::<i64>() {
            Ok(number) if number.to_string() == text => Self::Number(number),
            _ => Self::Text(text.to_owned()),
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Position {
    /// Which of two objects comes first in an order.
    pub fn compare(&self, other: &Self, order: &[OrderBy]) -> Ordering {
        order
            .iter()
            .map(|term| term.directed(self.compare_field(other, term.field)))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    fn compare_field(&self, other: &Self, field: OrderField) -> Ordering {
        match field {
            OrderField::Cluster => self.cluster.cmp(&other.cluster),
            OrderField::Namespace => self.namespace.cmp(&other.namespace),
            OrderField::Name => self.name.cmp(&other.name),
            OrderField::CreatedAt => self.created.cmp(&other.created),
            OrderField::ResourceVersion => self.version.cmp(&other.version),
            OrderField::Sequence => self.sequence.cmp(&other.sequence),
            OrderField::Resource => self.resource.cmp(&other.resource),
        }
    }
}

/// A continue token: opaque to clients, never a plain number, bound to the query that made it.
///
/// It holds the position of the last object of the page, so what changes between two pages shifts nothing. It grants
/// nothing: what a caller may see is decided anew for every page, and a forged token is only another beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token(String);

#[derive(Serialize, Deserialize)]
struct Payload {
    /// The query's [`fingerprint`].
    f: String,
    p: Position,
}

/// Longer tokens are not ours: names are at most 253 bytes long.
const MAX_TOKEN: usize = 4096;
/// What every token begins with: never a digit, and the format's version.
const PREFIX: &str = "k1.";

impl Token {
    /// The token for the page after the object at `position`.
    pub fn new(query: &Query, position: &Position) -> Self {
        let payload = Payload { f: fingerprint(query), p: position.clone() };
        // Strings and numbers always serialise.
        let json = serde_json::to_vec(&payload).unwrap_or_default();
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json)))
    }

    /// Takes a client's text; [`Query::validate`] says whether it belongs to the query.
    pub fn from_client(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text for the client, of characters that are safe in a URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the page before ended.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no token, or that of another query.
    pub fn position(&self, query: &Query) -> Result<Position, Error> {
        let payload = self.decode().ok_or_else(|| Error::invalid("continue", "is not a continue token"))?;
        if payload.f != fingerprint(query) {
            return Err(Error::invalid(
                "continue",
                "belongs to a query with other conditions or another order",
            ));
        }
        Ok(payload.p)
    }

    fn decode(&self) -> Option<Payload> {
        let text = self.0.strip_prefix(PREFIX).filter(|text| text.len() <= MAX_TOKEN)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

/// What makes two queries pages of the same: all but the limit, the start, the content and what the caller may see.
fn fingerprint(query: &Query) -> String {
    let Query { resources, clusters, namespaces, names, fuzzy_names, .. } = query;
    let Query { since, before, owner, labels, fields, order, .. } = query;
    let text = format!(
        "{resources:?}{clusters:?}{namespaces:?}{names:?}{fuzzy_names:?}{since:?}{before:?}{owner:?}{labels:?}{fields:?}{order:?}"
    );
    URL_SAFE_NO_PAD.encode(&Sha256::digest(text.as_bytes())[..9])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position() -> Position {
        Position {
            cluster: ClusterName::new("c1"),
            resource: Resource::new("apps", "v1", "deployments"),
            namespace: "default".into(),
            name: "web".into(),
            created: 1_700_000_000,
            version: Version::new("4711"),
            sequence: 12,
        }
    }

    #[test]
    fn a_token_gives_its_position_back_to_its_own_query() {
        let query = Query::of(Resource::new("apps", "v1", "deployments"));
        let token = Token::from_client(Token::new(&query, &position()).as_str());
        assert_eq!(token.position(&query).unwrap(), position());
    }

    #[test]
    fn page_size_content_and_rights_may_change_between_pages() {
        let query = Query::of(Resource::new("apps", "v1", "deployments"));
        let token = Token::new(&query, &position());
        let other = Query {
            limit: std::num::NonZeroU64::new(7),
            content: crate::Content::Keys,
            allowed: Some([(ClusterName::new("c2"), crate::Visible::All)].into()),
            ..query
        };
        assert!(token.position(&other).is_ok());
    }

    #[test]
    fn a_token_of_another_query_is_refused_and_the_parameter_named() {
        let query = Query::of(Resource::new("apps", "v1", "deployments"));
        let token = Token::new(&query, &position());
        for other in [
            Query { order: vec![OrderBy::descending(OrderField::Name)], ..query.clone() },
            Query { names: ["web".to_owned()].into(), ..query.clone() },
            Query::of(Resource::new("", "v1", "pods")),
        ] {
            let error = token.position(&other).unwrap_err();
            assert!(matches!(error, Error::Invalid { parameter: "continue", .. }), "{error}");
        }
    }

    #[test]
    fn numbers_and_rubbish_are_no_tokens() {
        let query = Query::of(Resource::new("", "v1", "pods"));
        for text in ["", "17", "k1.", "k1.AAAA", "k1.!!", "k9.e30"] {
            assert!(Token::from_client(text).position(&query).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_forged_token_is_refused_or_a_position_like_any_other(
            bytes: Vec<u8>,
            position in "[a-z0-9\":,{}\\[\\]]{0,40}",
            ours: bool,
        ) {
            let query = Query::of(Resource::new("apps", "v1", "deployments"));
            let payload = format!(r#"{{"f":"{}","p":{{{position}}}}}"#, fingerprint(&query));
            let payload = if ours { payload.into_bytes() } else { bytes.clone() };
            for text in [format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(payload)), String::from_utf8_lossy(&bytes).into()] {
                if let Ok(position) = Token::from_client(text).position(&query) {
                    prop_assert_eq!(Token::new(&query, &position).position(&query).unwrap(), position);
                }
            }
        }
    }

    #[test]
    fn resource_versions_order_by_value_and_print_as_they_were() {
        let texts = ["9", "10", "007", "abc", ""];
        let mut versions: Vec<Version> = texts.iter().map(|text| Version::new(text)).collect();
        versions.sort();
        let printed: Vec<String> = versions.iter().map(ToString::to_string).collect();
        assert_eq!(printed, ["9", "10", "", "007", "abc"]);
    }
}
