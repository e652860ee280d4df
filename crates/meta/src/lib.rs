//! Kubernetes' own vocabulary, as plain values.
//!
//! * [`Status`]: the answer of every failed request (`metav1.Status`).
//! * [`Quantity`]: sums of CPU and memory that print as Kubernetes prints them.
//! * [`RawObject`]: any object as key fields and JSON bytes.
//! * [`ListScanner`], [`WatchScanner`]: answers of an API server cut into objects while they arrive.
//! * [`LabelSelector`], [`FieldSelector`]: which objects are wanted; [`is_label_value`],
//!   [`is_dns_subdomain`]: what may be a name.
//! * [`TableColumn`], [`TableCells`]: what a client prints of an object; [`CrdColumns`]: of a custom one.
//! * [`JsonPath`]: kubectl's dialect of it.
//!
//! Deliberately absent: I/O, async, clocks, and anything that knows about Clusterway's own kinds.

mod crd;
mod jsonpath;
mod object;
mod quantity;
mod scan;
mod selector;
mod status;
mod table;

pub use crd::{CrdColumns, CrdColumnsError};
pub use jsonpath::{JsonPath, ParseJsonPathError};
pub use object::{ObjectError, ObjectKey, Owner, RawObject};
pub use quantity::{ParseQuantityError, Quantity};
pub use scan::{Bookmark, DEFAULT_OBJECT_LIMIT, ListMeta, ListScanner, ScanError, WatchEvent, WatchScanner};
pub use selector::{
    FieldPath, FieldRequirement, FieldSelector, InvalidSelectorError, LabelExpression, LabelRequirement,
    LabelSelector, Operator, ParseSelectorError, Step, StructuredLabelSelector, is_dns_subdomain,
    is_label_value,
};
pub use status::{Status, StatusCause, StatusDetails};
pub use table::{TableCells, TableColumn, human_age};
