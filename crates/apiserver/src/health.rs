//! `/healthz`, `/livez` and `/readyz`: named checks, answered as Kubernetes does.

use std::{fmt::Write as _, sync::Arc};

use http::{Response, StatusCode};
use meta::Status;
use runtime::CancellationToken;

use crate::{Body, body::with_type, path::parameter, status_response};

/// Something that must hold before requests should be sent here.
#[derive(Clone)]
pub struct Check {
    name: String,
    holds: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Check {
    /// A check by this name; `holds` answers at once, from what is known already.
    pub fn new(name: impl Into<String>, holds: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { name: name.into(), holds: Arc::new(holds) }
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Check({})", self.name)
    }
}

/// Whether a path is a health route, which answers everybody.
pub(crate) fn is_health(path: &str) -> bool {
    ["/healthz", "/livez", "/readyz"]
        .iter()
        .any(|route| path.strip_prefix(route).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[derive(Debug, Clone)]
pub(crate) struct Health {
    ready: Vec<Check>,
}

impl Health {
    /// `checks` decide readiness, beside `ending`, which ends it.
    pub(crate) fn new(checks: Vec<Check>, ending: CancellationToken) -> Self {
        let mut ready = vec![Check::new("ping", || true)];
        ready.extend(checks);
        ready.push(Check::new("shutdown", move || !ending.is_cancelled()));
        Self { ready }
    }

    /// The answer to a health route.
    pub(crate) fn answer(&self, path: &str, query: &str) -> Response<Body> {
        let mut parts = path.trim_start_matches('/').splitn(2, '/');
        let route = parts.next().unwrap_or_default();
        // Alive is whoever can answer. Everything else is about readiness, which a restart does not mend.
        let checks =
            if route == "readyz" { self.ready.as_slice() } else { self.ready.get(..1).unwrap_or_default() };
        let single = parts.next().map(|name| name.trim_end_matches('/')).filter(|name| !name.is_empty());
        match single {
            None => report(route, checks, query),
            Some(name) => match checks.iter().find(|check| check.name == name) {
                Some(check) => report(route, std::slice::from_ref(check), query),
                None => {
                    status_response(&Status::not_found(format!("There is no check {name:?} in /{route}.")))
                }
            },
        }
    }
}

fn report(route: &str, checks: &[Check], query: &str) -> Response<Body> {
    let excluded: Vec<String> = query
        .split('&')
        .filter(|pair| pair.starts_with("exclude="))
        .filter_map(|pair| parameter(pair, "exclude"))
        .collect();
    let mut text = String::new();
    let mut failed = false;
    for Check { name, holds } in checks {
        let outcome = if excluded.contains(name) {
            Ok("excluded: ok")
        } else if holds() {
            Ok("ok")
        } else {
            Err("failed: reason withheld")
        };
        failed |= outcome.is_err();
        let (sign, words) = match outcome {
            Ok(words) => ('+', words),
            Err(words) => ('-', words),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "[{sign}]{name} {words}");
    }
    if failed {
        let mut response = with_type("text/plain; charset=utf-8", format!("{text}{route} check failed\n"));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return response;
    }
    if parameter(query, "verbose").is_some() {
        return with_type("text/plain; charset=utf-8", format!("{text}{route} check passed\n"));
    }
    with_type("text/plain; charset=utf-8", "ok")
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn ask(health: &Health, path: &str, query: &str) -> (u16, String) {
        let response = health.answer(path, query);
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (code, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_names_the_check_that_fails_while_liveness_stays() {
        let health = Health::new(vec![Check::new("clusters", || false)], CancellationToken::new());
        let (code, text) = ask(&health, "/readyz", "").await;
        assert_eq!(code, 500);
        assert_eq!(
            text,
            "[+]ping ok\n[-]clusters failed: reason withheld\n[+]shutdown ok\nreadyz check failed\n"
        );
        assert_eq!(ask(&health, "/livez", "").await, (200, "ok".into()));
        assert_eq!(ask(&health, "/healthz", "").await, (200, "ok".into()));
        assert_eq!(ask(&health, "/readyz", "exclude=clusters").await, (200, "ok".into()));
        assert_eq!(ask(&health, "/readyz/ping", "").await, (200, "ok".into()));
        assert_eq!(ask(&health, "/readyz/clusters", "").await.0, 500);
        assert_eq!(ask(&health, "/readyz/unknown", "").await.0, 404);
    }

    #[tokio::test]
    async fn a_server_told_to_end_is_no_longer_ready_but_still_alive() {
        let ending = CancellationToken::new();
        let health = Health::new(Vec::new(), ending.clone());
        assert_eq!(
            ask(&health, "/readyz", "verbose").await,
            (200, "[+]ping ok\n[+]shutdown ok\nreadyz check passed\n".into())
        );
        ending.cancel();
        assert_eq!(ask(&health, "/readyz", "").await.0, 500);
        assert_eq!(ask(&health, "/livez", "").await.0, 200);
    }

    #[test]
    fn only_health_routes_are_health_routes() {
        assert!(is_health("/healthz") && is_health("/readyz/ping") && is_health("/livez/"));
        assert!(!is_health("/healthzz") && !is_health("/metrics") && !is_health("/apis/healthz"));
    }
}
