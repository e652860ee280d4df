//! Who denies a request.

/// The webhook or policy that denies a request, by its name, from the message of a refusal. The rest of such a message may
/// quote what was sent.
///
/// ```
/// let message = "admission webhook \"check.example.com\" denied the request: token hunter2";
/// assert_eq!(kubeio::denier(message).as_deref(), Some("the admission webhook check.example.com"));
/// assert_eq!(kubeio::denier("forbidden"), None);
/// ```
pub fn denier(message: &str) -> Option<String> {
    let named = |kind: &str, quote: char| {
        let (_, rest) = message.split_once(&format!("{kind} {quote}"))?;
        let (name, _) = rest.split_once(quote)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "-.:".contains(c);
        (name.len() <= 253 && name.chars().all(fits)).then(|| format!("the {kind} {name}"))
    };
    named("admission webhook", '"').or_else(|| named("ValidatingAdmissionPolicy", '\''))
}
