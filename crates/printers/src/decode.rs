//! Reading the few fields of an object that are printed.
//!
//! An API server reads `null` like an absent field, and both like the field's empty value. So does everything here:
//! a field is an `Option` only where the server prints something else for an absent value than for an empty one.

use std::{borrow::Cow, collections::BTreeMap, fmt, ops::Deref};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// The object is not JSON, or a field that is printed has another type than in the objects of this kind.
///
/// It says where, and nothing of the object itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an object of its kind: line {line}, column {column}")]
pub struct Error {
    line: usize,
    column: usize,
}

/// Reads an object.
pub(crate) fn decode<'a, T: Deserialize<'a>>(object: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(object).map_err(|error| Error { line: error.line(), column: error.column() })
}

/// A field's value; its empty value for `null`.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// Declares what is read of an object: fields in Kubernetes' spelling, each of which may be absent or `null`.
macro_rules! fields {
    ($name:ident<'a> { $($fields:tt)* }) => {
        fields! { @ #[serde(bound(deserialize = "'de: 'a"))] [$name<'a>] { $($fields)* } }
    };
    ($name:ident { $($fields:tt)* }) => {
        fields! { @ #[serde()] [$name] { $($fields)* } }
    };
    (@ #[$bound:meta] [$($name:tt)*] { $($(#[$attribute:meta])* $field:ident: $type:ty,)* }) => {
        #[derive(Default, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        #[$bound]
        #[allow(clippy::struct_field_names, reason = "the names are Kubernetes'")]
        pub(crate) struct $($name)* {
            $($(#[$attribute])* #[serde(default, deserialize_with = "crate::decode::or_default")]
            pub(crate) $field: $type,)*
        }
    };
}
pub(crate) use fields;

/// The cells of a row, from anything that becomes a JSON value.
macro_rules! cells {
    ($($cell:expr),* $(,)?) => { vec![$(serde_json::Value::from($cell)),*] };
}
pub(crate) use cells;

fields! { Metadata<'a> {
    name: Text<'a>,
    creation_timestamp: Text<'a>,
    deletion_timestamp: Option<Text<'a>>,
}}

fields! { Condition<'a> {
    #[serde(rename = "type")]
    type_: Text<'a>,
    status: Text<'a>,
    reason: Text<'a>,
    last_transition_time: Text<'a>,
}}

impl Condition<'_> {
    /// Whether it is of this type and holds.
    pub(crate) fn holds(&self, type_: &str) -> bool {
        &*self.type_ == type_ && &*self.status == "True"
    }
}

/// An object of which nothing but its metadata is printed.
#[derive(Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(crate) struct Plain<'a> {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) metadata: Metadata<'a>,
}

/// A string, borrowed from the object unless it contains escapes.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    /// The text, or what is printed instead of none.
    pub(crate) fn or<'s>(&'s self, instead: &'s str) -> &'s str {
        if self.0.is_empty() { instead } else { &self.0 }
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<Text<'_>> for Value {
    fn from(text: Text<'_>) -> Self {
        Self::String(text.0.into_owned())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Text<'de>, E> {
                Ok(Text::default())
            }
        }

        from.deserialize_any(TextVisitor)
    }
}

/// A map of strings, such as labels, in the order of its keys.
pub(crate) type TextMap<'a> = BTreeMap<Text<'a>, Text<'a>>;

/// A list.
pub(crate) struct List<T>(Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let items = Vec::<Option<T>>::deserialize(from)?;
        Ok(items.into_iter().map(Option::unwrap_or_default).collect())
    }
}

/// The number of entries of a list or map whose content is not printed.
#[derive(Default)]
pub(crate) struct Count(pub(crate) i64);

impl From<Count> for Value {
    fn from(count: Count) -> Self {
        Self::from(count.0)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct CountVisitor;

        impl<'de> Visitor<'de> for CountVisitor {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list or a map")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Count, A::Error> {
                let mut count = Count(0);
                while items.next_element::<IgnoredAny>()?.is_some() {
                    count.0 += 1;
                }
                Ok(count)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Count, A::Error> {
                let mut count = Count(0);
                while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    count.0 += 1;
                }
                Ok(count)
            }
        }

        from.deserialize_any(CountVisitor)
    }
}

/// A number, or text such as a percentage.
#[derive(Deserialize)]
#[serde(untagged, bound(deserialize = "'de: 'a"))]
pub(crate) enum IntOrText<'a> {
    Int(i64),
    Text(Text<'a>),
}

impl fmt::Display for IntOrText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}
