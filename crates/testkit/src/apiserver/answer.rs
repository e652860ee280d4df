//! From a request to an answer, good or bad.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderName, HeaderValue, Response, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::{
    ApiServer, Ask, Fault, discovery,
    state::{Rest, State},
    watching::{Wanted, body, whole},
};

/// Why a body breaks off.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

const JSON: &str = "application/json";

/// A request, understood.
struct Request {
    ask: Ask,
    path: String,
    /// What it selects, if it is about objects.
    wanted: Option<Wanted>,
    query: HashMap<String, String>,
}

impl ApiServer {
    /// The answer to GET `path_and_query`; nothing if nobody is there.
    pub fn answer(self: &Arc<Self>, path_and_query: &str) -> Option<Response<Body>> {
        let request = Request::read(path_and_query);
        let fault = {
            let mut state = self.state.lock();
            let of = request.wanted.as_ref().map_or(&request.path, |wanted| &wanted.of).clone();
            state.asked.push((request.ask, of.clone()));
            if state.down {
                return None;
            }
            state.trouble(request.ask, &of)
        };
        let response = match fault {
            None => self.well(&request, 1),
            Some(fault) => self.badly(&request, fault),
        };
        let server = Arc::clone(self);
        Some(response.map(|inner| {
            inner
                .map_frame(move |frame| {
                    frame.data_ref().inspect(|data| server.hands_out(data));
                    frame
                })
                .boxed_unsync()
        }))
    }

    /// The answer of a server that works; every object is told `times` times.
    fn well(self: &Arc<Self>, request: &Request, times: usize) -> Response<Body> {
        let mut state = self.state.lock();
        let Some(wanted) = &request.wanted else {
            return match request.path.as_str() {
                "/readyz" | "/healthz" => respond(200, "text/plain", whole("ok")),
                "/version" => respond(200, JSON, whole(json!({ "gitVersion": "v1.33.1" }).to_string())),
                "/api" | "/apis" => {
                    let document = discovery::document(&state, &request.path).to_string();
                    respond(200, discovery::MEDIA, whole(document))
                }
                _ => refused(404, "the server could not find the requested resource", None),
            };
        };
        if state.forbidden.contains(&wanted.of) {
            let message = r#"pods is forbidden: User "bob" cannot list resource "pods""#;
            return refused(403, message, None);
        }
        let built_in = ["customresourcedefinitions", "apiservices"];
        if !state.apis.contains_key(&wanted.of) && !built_in.iter().any(|name| wanted.of.ends_with(name)) {
            return refused(404, "the server could not find the requested resource", None);
        }
        if request.ask == Ask::Watch {
            let since = request.number("resourceVersion").unwrap_or_default();
            if since < state.oldest {
                return refused(410, "too old resource version", None);
            }
            drop(state);
            return respond(200, JSON, self.watch(wanted.clone(), since, times));
        }
        list(&mut state, request, wanted, times)
    }

    /// The answer of a server with a fault.
    fn badly(self: &Arc<Self>, request: &Request, fault: Fault) -> Response<Body> {
        match fault {
            Fault::Refuses(code, seconds) => refused(code, "the server was told to refuse", seconds),
            Fault::ErrorEvent(code) => {
                let event = json!({ "type": "ERROR", "object": status(code, "the watch was told to fail") });
                respond(200, JSON, whole(event.to_string()))
            }
            Fault::Says(code, media, text) => respond(code, media, whole(text)),
            Fault::Header(name, value) => {
                let mut response = self.well(request, 1);
                let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
                response.headers_mut().insert(name, value);
                response
            }
            Fault::Ends(after) => self.well(request, 1).map(|inner| cut(inner, after, Then::Ends)),
            Fault::Breaks(after) => self.well(request, 1).map(|inner| cut(inner, after, Then::Breaks)),
            Fault::Stalls(after) => self.well(request, 1).map(|inner| cut(inner, after, Then::Stalls)),
            Fault::Twice => self.well(request, 2),
            Fault::EndlessPages(objects) => {
                let mut state = self.state.lock();
                let names = state.number..state.number + objects as u64;
                state.number = names.end;
                let items: Vec<Value> = names
                    .map(|number| {
                        let name = format!("endless-{number:09}");
                        json!({ "metadata": { "name": name, "namespace": "endless", "uid": name, "resourceVersion": "7" } })
                    })
                    .collect();
                let token = format!("endless-{}", state.number);
                let list = json!({
                    "metadata": { "resourceVersion": state.version.to_string(), "continue": token },
                    "items": items,
                });
                respond(200, JSON, whole(list.to_string()))
            }
            Fault::EndlessObject => {
                let begin = r#"{"metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"endless","annotations":{"a":""#;
                let more = Bytes::from_static(&[b'a'; 16 * 1024]);
                let pieces = stream::iter([Bytes::from_static(begin.as_bytes())]).chain(stream::repeat(more));
                respond(200, JSON, body(pieces.map(Ok)))
            }
        }
    }
}

impl Request {
    fn read(path_and_query: &str) -> Self {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let query: HashMap<String, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.replace("%3D", "=").replace("%2F", "/")))
            .collect();
        let depth = path.split('/').count();
        let about_objects =
            (path.starts_with("/api/") && depth > 3) || (path.starts_with("/apis/") && depth > 4);
        if !about_objects {
            let probe = matches!(path, "/readyz" | "/healthz" | "/version");
            let ask = if probe { Ask::Probe } else { Ask::Discovery };
            return Self { ask, path: path.to_owned(), wanted: None, query };
        }
        let ask = if query.contains_key("watch") {
            Ask::Watch
        } else if query.contains_key("continue") {
            Ask::Page
        } else if query.get("limit").is_some_and(|limit| limit == "1") {
            Ask::Newest
        } else {
            Ask::List
        };
        let (of, namespace) = resource(path);
        let selector = |parameter: &str| query.get(parameter).cloned();
        let (labels, fields) = (selector("labelSelector"), selector("fieldSelector"));
        let wanted = Wanted { of, namespace, labels, fields };
        Self { ask, path: path.to_owned(), wanted: Some(wanted), query }
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.query.get(name)?.parse().ok()
    }
}

/// The path of a resource and the namespace, from a path of either form.
fn resource(path: &str) -> (String, Option<String>) {
    match path.split_once("/namespaces/").and_then(|(base, rest)| Some((base, rest.split_once('/')?))) {
        Some((base, (namespace, plural))) => (format!("{base}/{plural}"), Some(namespace.to_owned())),
        None => (path.to_owned(), None),
    }
}

/// A list, or a page of it.
fn list(state: &mut State, request: &Request, wanted: &Wanted, times: usize) -> Response<Body> {
    let Rest { version, mut objects } = if let Some(token) = request.query.get("continue") {
        // A page can be asked for again.
        let Some(rest) = state.pages.get(token) else {
            return refused(410, "The provided continue parameter is too old", None);
        };
        rest.clone()
    } else {
        let of = state.objects.iter().filter(|(key, object)| key.path == wanted.of && wanted.has(object));
        Rest { version: state.version, objects: of.map(|(_, object)| Arc::clone(object)).collect() }
    };
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    let limit = request.number("limit").map(|limit| limit as usize);
    let page = limit.map_or(usize::MAX, |limit| limit.min(state.page_size.unwrap_or(limit)));
    if objects.len() > page {
        state.number += 1;
        let token = format!("page-{}", state.number);
        metadata["continue"] = token.as_str().into();
        metadata["remainingItemCount"] = (objects.len() - page).into();
        let rest = Rest { version, objects: objects.split_off(page) };
        state.pages.insert(token, rest);
    }
    // Metadata first, as servers write it; one frame for each object.
    let begin = format!(r#"{{"metadata":{metadata},"items":["#);
    let items = objects.into_iter().flat_map(move |object| std::iter::repeat_n(object, times)).enumerate();
    let items = items.map(|(at, object)| format!("{}{object}", if at > 0 { "," } else { "" }));
    let pieces = std::iter::once(begin).chain(items).chain(std::iter::once(String::from("]}")));
    respond(200, JSON, body(stream::iter(pieces.map(|piece| Ok(Bytes::from(piece))))))
}

/// What follows where a body is cut.
#[derive(Clone, Copy)]
enum Then {
    Ends,
    Breaks,
    Stalls,
}

/// The first bytes of a body.
fn cut(inner: Body, bytes: usize, then: Then) -> Body {
    let pieces = stream::unfold((inner, bytes), move |(mut inner, left)| async move {
        if left == 0 {
            return match then {
                Then::Ends => None,
                Then::Breaks => Some((Err(BoxError::from("connection reset")), (inner, 0))),
                Then::Stalls => std::future::pending().await,
            };
        }
        let data = match inner.frame().await? {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => return Some((Err(error), (inner, left))),
        };
        let part = data.slice(..data.len().min(left));
        let left = left - part.len();
        Some((Ok(part), (inner, left)))
    });
    body(pieces)
}

fn status(code: u16, message: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message })
}

fn refused(code: u16, message: &str, retry_after: Option<u32>) -> Response<Body> {
    let mut response = respond(code, JSON, whole(status(code, message).to_string()));
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn respond(code: u16, media: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}
