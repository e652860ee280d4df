//! Which media type an answer has. Everything here is JSON; some documents have a second form of it.

use http::{HeaderMap, header};
use meta::Status;

/// One range of an `Accept` header.
#[derive(Debug, Clone, PartialEq)]
struct Range {
    media: String,
    parameters: Vec<(String, String)>,
    quality: f32,
}

/// Picks the offer the caller likes best, the first one for a caller who does not care.
///
/// An offer is a media type, with parameters that must all be asked for: `application/json` is not given to somebody
/// who asked for `application/json;as=Table`, nor the other way round.
///
/// # Errors
/// 406 if none of the accepted media types can be given, which names those that can.
///
/// ```
/// use apiserver::negotiate;
/// let mut headers = http::HeaderMap::new();
/// headers.insert("accept", "application/vnd.kubernetes.protobuf, application/json".parse().unwrap());
/// assert_eq!(negotiate(&headers, &["application/json"]).unwrap(), "application/json");
/// ```
pub fn negotiate<'a>(headers: &HeaderMap, offers: &[&'a str]) -> Result<&'a str, Status> {
    let ranges = accepted(headers);
    let Some(first) = offers.first().copied() else {
        return Err(Status::not_acceptable("There is no media type to choose from."));
    };
    if ranges.is_empty() {
        return Ok(first);
    }
    // Kubernetes' clients list what they want in order; quality only decides where it is given.
    let mut wanted: Vec<&Range> = ranges.iter().filter(|range| range.quality > 0.0).collect();
    wanted.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    wanted.into_iter().find_map(|range| offers.iter().copied().find(|offer| range.takes(offer))).ok_or_else(
        || {
            Status::not_acceptable(format!(
                "None of the accepted media types can be given; accept {}.",
                offers.join(" or ")
            ))
        },
    )
}

/// [`negotiate`] for the handlers that speak plain JSON only.
pub fn accepts_json(headers: &HeaderMap) -> Result<(), Status> {
    negotiate(headers, &["application/json"]).map(|_| ())
}

impl Range {
    fn takes(&self, offer: &str) -> bool {
        let (media, parameters) = media_type(offer);
        let matches = match self.media.as_str() {
            "*/*" => true,
            range => match range.strip_suffix("/*") {
                Some(kind) => media.split('/').next() == Some(kind),
                None => range == media,
            },
        };
        if self.media.contains('*') {
            return matches && parameters.is_empty();
        }
        let has = |list: &[(String, String)], wanted: &(String, String)| list.contains(wanted);
        matches
            && parameters.iter().all(|parameter| has(&self.parameters, parameter))
            && self.parameters.iter().all(|parameter| has(&parameters, parameter))
    }
}

fn accepted(headers: &HeaderMap) -> Vec<Range> {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|part| !part.trim().is_empty())
        .map(|part| {
            let (media, mut parameters) = media_type(part);
            let quality =
                parameters.iter().find(|(key, _)| key == "q").and_then(|(_, value)| value.parse().ok());
            // These say nothing about the form of the document.
            parameters.retain(|(key, _)| !["q", "charset", "stream", "pretty"].contains(&key.as_str()));
            Range { media, parameters, quality: quality.unwrap_or(1.0) }
        })
        .collect()
}

fn media_type(text: &str) -> (String, Vec<(String, String)>) {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    let parameters = parts.filter_map(|part| {
        let (key, value) = part.split_once('=')?;
        Some((key.trim().to_ascii_lowercase(), value.trim().trim_matches('"').to_owned()))
    });
    (media, parameters.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "application/json";
    const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

    fn pick(accept: &str, offers: &[&'static str]) -> Result<&'static str, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        negotiate(&headers, offers).map_err(|status| status.code)
    }

    #[test]
    fn the_first_offer_that_is_accepted_is_given() {
        for (accept, expected) in [
            ("", Ok(JSON)),
            ("*/*", Ok(JSON)),
            ("application/*", Ok(JSON)),
            ("application/json", Ok(JSON)),
            ("application/json;charset=utf-8", Ok(JSON)),
            ("text/html, application/xhtml+xml, */*;q=0.8", Ok(JSON)),
            ("application/vnd.kubernetes.protobuf,application/json", Ok(JSON)),
            ("application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io,application/json", Ok(V2)),
            (
                "application/json;q=0.5, application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
                Ok(V2),
            ),
            (
                "application/json;g=apidiscovery.k8s.io;v=v1;as=APIGroupDiscoveryList,application/json",
                Ok(JSON),
            ),
            ("application/vnd.kubernetes.protobuf", Err(406)),
            ("application/json;as=Table;v=v1;g=meta.k8s.io", Err(406)),
            ("application/json;q=0", Err(406)),
            ("text/plain", Err(406)),
        ] {
            assert_eq!(pick(accept, &[JSON, V2]), expected, "{accept}");
        }
    }

    #[test]
    fn a_missing_header_accepts_everything() {
        assert_eq!(negotiate(&HeaderMap::new(), &[JSON]).unwrap(), JSON);
    }
}
