//! Questions to the parent: TokenReview and SubjectAccessReview.
//!
//! Sent by hand instead of through the client's typed calls, because those log a whole body they cannot read, and
//! these bodies hold tokens.

use std::{sync::Arc, time::Duration};

use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;
use meta::Status;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tracing::warn;

/// Questions under way at once; more wait in line, so that a storm of unknown tokens is not passed on to the parent.
const AT_ONCE: usize = 64;
const DEADLINE: Duration = Duration::from_secs(10);
const LONGEST_ANSWER: usize = 1024 * 1024;

/// Asks one kind of question.
#[derive(Clone)]
pub(crate) struct Reviewer {
    client: kube::Client,
    places: Arc<Semaphore>,
}

/// The parent could not be asked. The caller may try again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed;

impl Failed {
    /// What the user is told.
    pub(crate) fn status_about(what: &str) -> Status {
        let message = format!("The parent's API server could not be asked {what}. Try again in a moment.");
        Status::unavailable(message).retry_after(1)
    }
}

impl Reviewer {
    pub(crate) fn new(client: kube::Client) -> Self {
        Self { client, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Posts `review` and reads the answer. Fails closed: no answer is no.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        review: &serde_json::Value,
    ) -> Result<T, Failed> {
        match tokio::time::timeout(DEADLINE, self.post(path, review)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(cause)) => {
                warn!(path, cause, "a review failed");
                Err(Failed)
            }
            Err(_) => {
                warn!(path, cause = "no answer in time", "a review failed");
                Err(Failed)
            }
        }
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, review: &serde_json::Value) -> Result<T, String> {
        let _place = self.places.acquire().await.map_err(|e| e.to_string())?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(Body::from(review.to_string().into_bytes()))
            .map_err(|e| e.to_string())?;
        let response =
            self.client.send(request).await.map_err(|_| String::from("the parent was not reached"))?;
        if !response.status().is_success() {
            return Err(format!("the parent answered {}", response.status()));
        }
        let body = Limited::new(response.into_body(), LONGEST_ANSWER);
        let bytes =
            body.collect().await.map_err(|_| String::from("the answer broke off or is too long"))?.to_bytes();
        // The parser's own words may quote the answer.
        serde_json::from_slice(&bytes).map_err(|_| String::from("the answer is not a review"))
    }
}
