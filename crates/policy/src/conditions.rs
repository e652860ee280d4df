//! Conditions that move only when there is something to say. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::Problem;

/// What the schema of a condition allows, with room to spare.
const MESSAGE: usize = 4_000;

/// Sets a condition. The transition time moves with the status only.
pub(crate) fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    holds: bool,
    why: &Problem,
    generation: Option<i64>,
    now: Timestamp,
) {
    let status = if holds { "True" } else { "False" };
    let message = match why.message.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", &why.message[..end]),
        None => why.message.clone(),
    };
    let mut next = Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: why.reason.to_owned(),
        message,
        observed_generation: generation,
        last_transition_time: Time(now),
    };
    match conditions.iter_mut().find(|condition| condition.type_ == type_) {
        Some(current) => {
            if current.status == next.status {
                next.last_transition_time = current.last_transition_time.clone();
            }
            *current = next;
        }
        None => conditions.push(next),
    }
}

/// Takes a condition away.
pub(crate) fn remove(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|condition| condition.type_ != type_);
}

/// Whether a condition is True.
pub(crate) fn holds(conditions: &[Condition], type_: &str) -> bool {
    conditions.iter().any(|condition| condition.type_ == type_ && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_time_moves_with_the_status_only() {
        let (first, second) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(60).unwrap());
        let mut conditions = Vec::new();
        let why = |message: &str| Problem::new("R", message);
        set(&mut conditions, "Created", false, &why("a"), None, first);
        set(&mut conditions, "Created", false, &why(&"b".repeat(MESSAGE + 1)), None, second);
        assert_eq!(conditions[0].last_transition_time, Time(first));
        assert_eq!(conditions[0].message.chars().count(), MESSAGE + 1);
        set(&mut conditions, "Created", true, &why("c"), None, second);
        assert_eq!(conditions[0].last_transition_time, Time(second));
        assert!(holds(&conditions, "Created"));
        remove(&mut conditions, "Created");
        assert!(conditions.is_empty());
    }
}
