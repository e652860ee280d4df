//! What a template may know of the world: nothing, unless it is told.

use std::fmt;

use jiff::{Timestamp, tz::TimeZone};

/// From an IANA name to its time zone.
type FindZone<'e> = &'e dyn Fn(&str) -> Option<TimeZone>;

/// Fills a buffer.
type FillRandom<'e> = &'e dyn Fn(&mut [u8]);

/// The clock and the random bytes a rendering may use. The default has neither, so that the same data always give the
/// same result; a function that would need one is then an error of kind
/// [`Environment`](crate::ErrorKind::Environment).
///
/// The zone that sprig calls `Local` is always UTC.
///
/// ```
/// use gotemplate::{Environment, Limits, Template};
///
/// let template = Template::parse("t", r#"{{ now | date "2006-01-02" }}"#)?;
/// let environment = Environment { now: Some("2024-02-29T12:00:00Z".parse().unwrap()), ..Environment::default() };
/// let text = template.render(&serde_json::json!({}), &Limits::default(), &environment)?;
/// assert_eq!(text, "2024-02-29");
/// # Ok::<(), gotemplate::Error>(())
/// ```
#[derive(Clone, Copy, Default)]
pub struct Environment<'e> {
    /// The present; it stands still while a template is rendered.
    pub now: Option<Timestamp>,
    /// Finds time zones by their IANA names, for `dateInZone` and `htmlDateInZone`. A zone that is not found is UTC, as
    /// in sprig.
    pub time_zone: Option<FindZone<'e>>,
    /// Fills a buffer with random bytes, for `uuidv4`, `shuffle` and the functions whose names begin with `rand`.
    pub random: Option<FillRandom<'e>>,
}

impl fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("now", &self.now)
            .field("time_zone", &self.time_zone.is_some())
            .field("random", &self.random.is_some())
            .finish()
    }
}
