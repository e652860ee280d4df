//! A cluster that answers anything: discovery and a follower meet bytes that nobody meant.
//!
//! The input is a row of answers: a byte for the status, two for the length of the body, and the body.

#![no_main]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use kubeio::{Body, Error, FollowRequest, Follower, Lane, Resource, Selection, Transport, discover};

struct Anything(Mutex<VecDeque<(u16, Bytes)>>);

impl Anything {
    fn new(mut input: &[u8]) -> Arc<Self> {
        let mut answers = VecDeque::new();
        while let [status, high, low, rest @ ..] = input {
            let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
            let (body, rest) = rest.split_at(length);
            let status = [200, 200, 200, 301, 401, 410, 429, 503][usize::from(*status % 8)];
            answers.push_back((status, Bytes::copy_from_slice(body)));
            input = rest;
        }
        Arc::new(Self(Mutex::new(answers)))
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

impl Transport for Anything {
    fn send(&self, _: Request<Bytes>, _: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        let (status, body) = self.0.lock().unwrap().pop_front().unwrap_or((500, Bytes::new()));
        let response = Response::builder().status(status).header("content-type", "application/json");
        let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
        Box::pin(async { Ok(response.body(body).unwrap()) })
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let _ = discover(&*Anything::new(input)).await;
        let anything = Anything::new(input);
        let selection = Selection::all(Resource::new("", "v1", "pods"));
        let mut follower = Follower::new(anything.clone(), FollowRequest::new(selection, "Pod"));
        while !anything.is_empty() {
            follower.next().await;
        }
    });
});
