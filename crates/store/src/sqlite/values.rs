//! How single values stand in columns.

use rusqlite::{
    Row,
    types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef},
};

use super::error::Sorted as _;
use crate::{
    Error, Version,
    field::FieldValue,
    relational::{
        body::{self, Bodies},
        uid::Uid,
    },
};

/// The body in the columns `size`, `json` of `row`, of which `size` is at `at`.
pub(super) fn body(bodies: &mut Bodies, row: &Row<'_>, at: usize) -> Result<Vec<u8>, Error> {
    let size: usize = row.get(at).sorted()?;
    let packed = row.get_ref(at + 1).sorted()?.as_blob().map_err(|_| body::damaged())?;
    bodies.unpack(packed, size)
}

impl ToSql for Uid {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Uuid(bytes) => ValueRef::Blob(bytes),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

impl FromSql for Uid {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Blob(bytes) => bytes.try_into().map(Self::Uuid).map_err(|_| FromSqlError::InvalidType),
            other => Ok(Self::Text(other.as_str()?.to_owned())),
        }
    }
}

impl ToSql for Version {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Number(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

impl FromSql for Version {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Integer(number) => Ok(Self::Number(number)),
            other => Ok(Self::Text(other.as_str()?.to_owned())),
        }
    }
}

impl ToSql for FieldValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Structured => ValueRef::Blob(&[]),
        }))
    }
}
