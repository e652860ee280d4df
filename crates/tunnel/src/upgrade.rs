//! How an HTTP/1.1 upgrade (`exec`, `attach`, `port-forward`) travels through HTTP/2.
//!
//! HTTP/2 has no upgrades and forbids their headers. The hub sends an extended CONNECT (RFC 8441); what the caller
//! really asked stands in two headers of ours. The agent makes an HTTP/1.1 request of it again, so its service knows
//! nothing of all this: it sees `Upgrade` and answers 101, or anything else if the child refuses.
//!
//! The answer cannot keep its own status either: on CONNECT, hyper takes every 2xx for a granted upgrade. Granted is
//! 200, and a refusal names its status in a header, with a status of the message itself that is never 2xx.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};

use crate::ws::handshake::names;

/// `:protocol` of our extended CONNECT.
const PROTOCOL: &str = "clusterway-upgrade";
/// The caller's method.
const METHOD: HeaderName = HeaderName::from_static("clusterway-method");
/// The caller's, and in the answer the child's, `Upgrade` header.
const UPGRADE: HeaderName = HeaderName::from_static("clusterway-upgrade");
/// The child's status when it refused.
const STATUS: HeaderName = HeaderName::from_static("clusterway-status");

/// Whether a request asks for an HTTP/1.1 upgrade.
pub fn wanted(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE) && names(headers, header::CONNECTION, "upgrade")
}

/// Hub: from the caller's HTTP/1.1 form to the extended CONNECT. `false`: it names no protocol to upgrade to.
pub(crate) fn write_request<B>(request: &mut Request<B>) -> bool {
    let Some(protocol) = request.headers_mut().remove(header::UPGRADE) else { return false };
    let Ok(method) = HeaderValue::from_str(request.method().as_str()) else { return false };
    let headers = request.headers_mut();
    headers.remove(header::CONNECTION);
    headers.insert(UPGRADE, protocol);
    headers.insert(METHOD, method);
    *request.method_mut() = Method::CONNECT;
    request.extensions_mut().insert(h2::ext::Protocol::from_static(PROTOCOL));
    true
}

/// Agent: what a CONNECT turned out to be.
pub(crate) enum Asked {
    /// No CONNECT.
    Nothing,
    /// An upgrade; the request has its HTTP/1.1 form again.
    Upgrade,
    /// A CONNECT that is none of ours.
    Foreign,
}

/// Agent: from the extended CONNECT back to the caller's HTTP/1.1 form.
pub(crate) fn read_request<B>(request: &mut Request<B>) -> Asked {
    // Outside of a CONNECT these headers mean nothing, and nothing behind us may think otherwise.
    let protocol = request.headers_mut().remove(UPGRADE);
    let method = request.headers_mut().remove(METHOD);
    if request.method() != Method::CONNECT {
        return Asked::Nothing;
    }
    let ours = request
        .extensions_mut()
        .remove::<hyper::ext::Protocol>()
        .is_some_and(|protocol| protocol.as_str() == PROTOCOL);
    let method =
        method.and_then(|method| Method::from_bytes(method.as_bytes()).ok()).filter(|m| m != Method::CONNECT);
    let (true, Some(protocol), Some(method)) = (ours, protocol, method) else { return Asked::Foreign };
    *request.method_mut() = method;
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    request.headers_mut().insert(header::UPGRADE, protocol);
    Asked::Upgrade
}

/// Agent: from the service's answer to an upgrade to that of the extended CONNECT.
pub(crate) fn write_response<B>(response: &mut Response<B>) {
    let status = response.status();
    let headers = response.headers_mut();
    headers.remove(UPGRADE);
    headers.remove(STATUS);
    headers.remove(header::CONNECTION);
    let protocol = headers.remove(header::UPGRADE);
    if status == StatusCode::SWITCHING_PROTOCOLS {
        if let Some(protocol) = protocol {
            headers.insert(UPGRADE, protocol);
        }
        headers.remove(header::CONTENT_LENGTH);
        *response.status_mut() = StatusCode::OK;
        return;
    }
    headers.insert(STATUS, HeaderValue::from(status.as_u16()));
    if status.is_success() || status.is_informational() {
        *response.status_mut() = StatusCode::CONFLICT;
    }
}

/// Hub: from the answer of the extended CONNECT back to the child's HTTP/1.1 form. `true`: the upgrade is granted.
pub(crate) fn read_response<B>(response: &mut Response<B>) -> bool {
    let headers = response.headers_mut();
    let protocol = headers.remove(UPGRADE);
    let status = headers.remove(STATUS);
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Some(protocol) = protocol {
            response.headers_mut().insert(header::UPGRADE, protocol);
        }
        return true;
    }
    if let Some(status) = status.and_then(|status| StatusCode::from_bytes(status.as_bytes()).ok()) {
        *response.status_mut() = status;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec() -> Request<()> {
        let request = Request::builder().method("POST").uri("/api/v1/namespaces/n/pods/p/exec?command=sh");
        let request = request.header("Connection", "keep-alive, Upgrade").header("Upgrade", "SPDY/3.1");
        request.header("X-Stream-Protocol-Version", "v4.channel.k8s.io").body(()).unwrap()
    }

    #[test]
    fn an_upgrade_arrives_as_it_was_asked() {
        let mut request = exec();
        assert!(wanted(request.headers()));
        assert!(write_request(&mut request));
        assert_eq!(request.method(), Method::CONNECT);
        assert!(!request.headers().contains_key("connection") && !request.headers().contains_key("upgrade"));
        // On the wire it is a pseudo-header; h2 writes it and hyper reads it.
        let protocol = request.extensions_mut().remove::<h2::ext::Protocol>().unwrap();
        request.extensions_mut().insert(hyper::ext::Protocol::from(protocol.as_str()));
        assert!(matches!(read_request(&mut request), Asked::Upgrade));
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), exec().uri());
        assert!(wanted(request.headers()));
        assert_eq!(request.headers()["upgrade"], "SPDY/3.1");
        assert_eq!(request.headers()["x-stream-protocol-version"], "v4.channel.k8s.io");
        assert!(!request.headers().keys().any(|name| name.as_str().starts_with("clusterway-")));
    }

    #[test]
    fn answers_keep_their_status_whatever_it_is() {
        for status in [101_u16, 200, 204, 302, 400, 403, 404, 500] {
            let mut response =
                Response::builder().status(status).header("Upgrade", "SPDY/3.1").body(()).unwrap();
            write_response(&mut response);
            assert_eq!(response.status() == StatusCode::OK, status == 101);
            assert_eq!(response.status().is_success(), status == 101);
            assert_eq!(read_response(&mut response), status == 101);
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers().contains_key("upgrade"), status == 101);
        }
    }

    #[test]
    fn a_connect_that_is_not_ours_is_foreign_and_a_plain_request_cannot_pretend() {
        let mut request = Request::builder().method("CONNECT").uri("example.org:443").body(()).unwrap();
        assert!(matches!(read_request(&mut request), Asked::Foreign));
        let mut request = Request::builder().uri("/").header("clusterway-method", "DELETE").body(()).unwrap();
        assert!(matches!(read_request(&mut request), Asked::Nothing));
        assert_eq!(request.method(), Method::GET);
        assert!(request.headers().is_empty());
    }
}
