//! A list of the Kubernetes API, read to its end and thrown away: how fast an API server can be read at all.

use std::time::Instant;

use anyhow::Context as _;
use http_body_util::BodyExt as _;
use serde_json::json;

use crate::connect::Target;

/// What to list.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// Objects for each request; 0 asks for all at once.
    #[arg(long, default_value_t = 500)]
    limit: u32,
}

/// As much of a page's beginning as is kept: `metadata` comes before the items and is shorter than this.
const BEGINNING: usize = 4096;

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let tls = args.target.tls()?;
    let tasks = runtime::Tasks::new();
    let mut sender = args.target.sender(tls.as_ref(), &tasks).await?;
    let began = Instant::now();
    let (mut bytes, mut pages, mut next) = (0_u64, 0_u64, None::<String>);
    loop {
        let mut url = args.target.url.clone();
        if args.limit > 0 {
            url.query_pairs_mut().append_pair("limit", &args.limit.to_string());
        }
        if let Some(token) = &next {
            url.query_pairs_mut().append_pair("continue", token);
        }
        let page = Target { url, ..args.target.clone() };
        sender.ready().await?;
        let response = sender.send_request(page.request()?).await?;
        anyhow::ensure!(response.status().is_success(), "the answer was {}", response.status());
        let mut body = response.into_body();
        let mut beginning = Vec::with_capacity(BEGINNING);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            bytes += data.len() as u64;
            let wanted = data.len().min(BEGINNING - beginning.len());
            beginning.extend_from_slice(data.get(..wanted).unwrap_or_default());
        }
        pages += 1;
        next = token(&beginning)?;
        if next.is_none() {
            break;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    crate::print(&json!({ "bytes": bytes, "pages": pages, "seconds": seconds }));
    Ok(())
}

/// The token of the next page, from the beginning of a page.
fn token(beginning: &[u8]) -> anyhow::Result<Option<String>> {
    let text = String::from_utf8_lossy(beginning);
    let (metadata, _) = text.split_once("\"items\":").context("the answer does not begin like a list")?;
    let Some((_, rest)) = metadata.split_once("\"continue\":\"") else { return Ok(None) };
    let (token, _) = rest.split_once('"').context("the continue token does not end")?;
    Ok(Some(token.to_owned()).filter(|token| !token.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_the_next_page_stands_before_the_items() {
        let page = br#"{"kind":"PodList","metadata":{"resourceVersion":"7","continue":"abc"},"items":[{"continue":"x"}"#;
        assert_eq!(token(page).unwrap().as_deref(), Some("abc"));
        let last = br#"{"kind":"PodList","metadata":{"resourceVersion":"7"},"items":[{"continue":"x"}"#;
        assert_eq!(token(last).unwrap(), None);
        assert!(token(b"{}").is_err());
    }
}
