//! Taints and tolerations, as Kubernetes documents them for nodes; `tolerationSeconds` has no meaning for clusters.

use k8s_openapi::api::core::v1::{Taint, Toleration};

/// Whether a toleration takes its effect from a taint. A toleration without a key is for every taint, and needs the operator
/// `Exists`.
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let unset = |text: &Option<String>| text.as_deref().is_none_or(str::is_empty);
    let exists = toleration.operator.as_deref() == Some("Exists");
    let equal = unset(&toleration.operator) || toleration.operator.as_deref() == Some("Equal");
    let key = if unset(&toleration.key) { exists } else { toleration.key.as_deref() == Some(&taint.key) };
    let effect = unset(&toleration.effect) || toleration.effect.as_deref() == Some(&taint.effect);
    let value = || toleration.value.as_deref().unwrap_or("") == taint.value.as_deref().unwrap_or("");
    key && effect && (exists || (equal && value()))
}

/// The taints with one of these effects that nothing tolerates.
pub fn untolerated<'t>(
    taints: &'t [Taint],
    tolerations: &'t [Toleration],
    effects: &'t [&'t str],
) -> impl Iterator<Item = &'t Taint> {
    taints
        .iter()
        .filter(|taint| effects.contains(&taint.effect.as_str()))
        .filter(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)))
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn tolerations_are_those_of_kubernetes() {
        let taint: Taint = from_value(json!({ "key": "k", "value": "v", "effect": "NoSchedule" })).unwrap();
        for (tolerated, toleration) in [
            (true, json!({ "key": "k", "value": "v", "effect": "NoSchedule" })),
            (true, json!({ "key": "k", "operator": "Equal", "value": "v" })),
            (true, json!({ "key": "k", "operator": "Exists" })),
            (true, json!({ "operator": "Exists" })),
            (true, json!({ "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 3 })),
            (false, json!({ "key": "k", "value": "w" })),
            (false, json!({ "key": "k" })),
            (false, json!({ "key": "l", "operator": "Exists" })),
            (false, json!({ "operator": "Exists", "effect": "NoExecute" })),
            (false, json!({ "value": "v" })),
            (false, json!({ "key": "k", "operator": "Like", "value": "v" })),
        ] {
            let toleration: Toleration = from_value(toleration).unwrap();
            assert_eq!(tolerates(&toleration, &taint), tolerated, "{toleration:?}");
        }
    }
}
