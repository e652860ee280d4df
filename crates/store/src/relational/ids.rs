//! Numbers of objects: that of the scope, and a number within it. A scope's objects and bodies lie together so.

use std::ops::RangeInclusive;

/// The numbers of a scope's objects.
pub(crate) fn ids(scope: i64) -> RangeInclusive<i64> {
    let first = scope << 32;
    first..=first | 0xffff_ffff
}

/// The scope of an object by its number.
pub(crate) fn scope_of(object: i64) -> i64 {
    object >> 32
}
