//! Conditions whose transition time is the time of a transition.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// A condition as it should be, without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The type.
    pub(crate) type_: &'static str,
    /// True, False or Unknown.
    pub(crate) status: &'static str,
    /// CamelCase.
    pub(crate) reason: String,
    /// Full sentences; the same as long as the state is.
    pub(crate) message: String,
    /// The generation it speaks of.
    pub(crate) generation: Option<i64>,
}

/// Puts a condition among the others. The transition time only moves when the status does.
pub(crate) fn set(conditions: &mut Vec<Condition>, wanted: Wanted, now: Timestamp) {
    let mut next = Condition {
        type_: wanted.type_.to_owned(),
        status: wanted.status.to_owned(),
        reason: wanted.reason,
        message: wanted.message,
        observed_generation: wanted.generation,
        last_transition_time: Time(now),
    };
    let Some(current) = find_mut(conditions, wanted.type_) else { return conditions.push(next) };
    if current.status == next.status {
        next.last_transition_time = current.last_transition_time.clone();
    }
    *current = next;
}

/// The condition of this type.
pub(crate) fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// The condition of this type, to change it.
pub(crate) fn find_mut<'a>(conditions: &'a mut [Condition], type_: &str) -> Option<&'a mut Condition> {
    conditions.iter_mut().find(|condition| condition.type_ == type_)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(status: &'static str, message: &str) -> Wanted {
        Wanted { type_: "Ready", status, reason: "R".into(), message: message.into(), generation: Some(1) }
    }

    #[test]
    fn the_transition_time_moves_with_the_status_only() {
        let (first, second) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(60).unwrap());
        let mut conditions = Vec::new();
        set(&mut conditions, wanted("True", "a"), first);
        set(&mut conditions, wanted("True", "b"), second);
        assert_eq!(
            (conditions[0].message.as_str(), &conditions[0].last_transition_time),
            ("b", &Time(first))
        );
        set(&mut conditions, wanted("False", "b"), second);
        assert_eq!((conditions.len(), &conditions[0].last_transition_time), (1, &Time(second)));
    }
}
