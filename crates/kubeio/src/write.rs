//! Requests that change one object, and what comes of them.

use bytes::Bytes;
use http::{Method, Request, header};
use meta::Status;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    Error, Lane, Transport,
    request::{ANSWER, JSON, no_answer, read, status_of},
};

/// A change of one object. Every path is that of the object, if nothing else is said.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Makes an object, at the path of its collection.
    Create(String, Value),
    /// A merge patch.
    Merge(String, Value),
    /// A merge patch of the status.
    Status(String, Value),
    /// Server-side apply, by force.
    Apply(String, Value),
    /// Deletes it, if it still has this uid.
    Delete(String, String),
}

impl Write {
    /// As a request in the name of a field manager.
    ///
    /// # Errors
    /// The path is none.
    pub fn request(self, manager: &str) -> Result<Request<Bytes>, http::Error> {
        let merge = "application/merge-patch+json";
        let (method, path, kind, body) = match self {
            Self::Create(path, body) => (Method::POST, format!("{path}?fieldManager={manager}"), JSON, body),
            Self::Merge(path, body) => (Method::PATCH, format!("{path}?fieldManager={manager}"), merge, body),
            Self::Status(path, body) => {
                (Method::PATCH, format!("{path}/status?fieldManager={manager}"), merge, body)
            }
            Self::Apply(path, body) => {
                let path = format!("{path}?fieldManager={manager}&force=true");
                (Method::PATCH, path, "application/apply-patch+yaml", body)
            }
            Self::Delete(path, uid) => {
                let only =
                    json!({ "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": { "uid": uid } });
                (Method::DELETE, path, JSON, only)
            }
        };
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, kind)
            .header(header::ACCEPT, JSON)
            .body(Bytes::from(body.to_string()))
    }
}

/// Sends a request: the whole answer if it is a success of at most `limit` bytes, else what the server says, which may quote
/// what it refuses and is not for logs. Each part of the answer has to come in time.
///
/// # Errors
/// There was no such answer.
pub async fn call(
    transport: &dyn Transport,
    request: Request<Bytes>,
    limit: usize,
) -> Result<Result<Bytes, Status>, Error> {
    let response = timeout(ANSWER, transport.send(request, Lane::Short)).await.map_err(|_| no_answer())??;
    if response.status().is_success() {
        read(response.into_body(), limit).await.map(Ok)
    } else {
        Ok(Err(status_of(response).await))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_write_is_one_request_in_the_name_of_its_manager() {
        let told = |write: Write| {
            let request = write.request("m").unwrap();
            let kind = request.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
            (format!("{} {}", request.method(), request.uri()), kind)
        };
        let path = || String::from("/api/v1/things/a");
        let body = || json!({});
        let merge = "application/merge-patch+json";
        let cases = [
            (Write::Create(path(), body()), "POST /api/v1/things/a?fieldManager=m", JSON),
            (Write::Merge(path(), body()), "PATCH /api/v1/things/a?fieldManager=m", merge),
            (Write::Status(path(), body()), "PATCH /api/v1/things/a/status?fieldManager=m", merge),
            (
                Write::Apply(path(), body()),
                "PATCH /api/v1/things/a?fieldManager=m&force=true",
                "application/apply-patch+yaml",
            ),
            (Write::Delete(path(), String::from("u")), "DELETE /api/v1/things/a", JSON),
        ];
        for (write, request, kind) in cases {
            assert_eq!(told(write), (request.to_owned(), kind.to_owned()));
        }
    }
}
