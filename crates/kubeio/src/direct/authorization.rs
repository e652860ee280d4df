//! The `Authorization` header.

use std::{path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use parking_lot::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::{AccessError, Authorization, Error};

/// How long a token from a file is used before the file is read again. The kubelet renews them minutes ahead.
const FRESH: Duration = Duration::from_secs(60);

pub(super) enum Credential {
    Fixed(Option<HeaderValue>),
    File { path: PathBuf, read: Mutex<Option<(Instant, HeaderValue)>> },
}

impl Credential {
    pub(super) fn new(authorization: &Authorization) -> Result<Self, AccessError> {
        let unusable =
            |what| move |()| AccessError::Credential { what, why: String::from("it has control characters") };
        Ok(match authorization {
            Authorization::None => Self::Fixed(None),
            Authorization::Bearer(token) => {
                Self::Fixed(Some(bearer(token.expose()).map_err(unusable("the token"))?))
            }
            Authorization::BearerFile(path) => Self::File { path: path.clone(), read: Mutex::new(None) },
            Authorization::Basic { user, password } => {
                let mut pair = Zeroizing::new(format!("{user}:").into_bytes());
                pair.extend_from_slice(password.expose());
                let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(&*pair)));
                Self::Fixed(Some(sensitive(text.as_bytes()).map_err(unusable("the password"))?))
            }
        })
    }

    /// What the next request carries.
    pub(super) async fn header(&self) -> Result<Option<HeaderValue>, Error> {
        let (path, read) = match self {
            Self::Fixed(value) => return Ok(value.clone()),
            Self::File { path, read } => (path, read),
        };
        let kept =
            read.lock().as_ref().filter(|(when, _)| when.elapsed() < FRESH).map(|(_, value)| value.clone());
        if kept.is_some() {
            return Ok(kept);
        }
        let unreadable = |why: String| Error::Unauthorized(format!("the token file cannot be used: {why}"));
        let text = tokio::fs::read(path).await.map_err(|error| unreadable(error.to_string()))?;
        let text = Zeroizing::new(text);
        let value = bearer(&text).map_err(|()| unreadable(String::from("it has control characters")))?;
        *read.lock() = Some((Instant::now(), value.clone()));
        Ok(Some(value))
    }

    /// The server did not accept it: the file may hold a newer one.
    pub(super) fn refused(&self) {
        if let Self::File { read, .. } = self {
            *read.lock() = None;
        }
    }
}

fn bearer(token: &[u8]) -> Result<HeaderValue, ()> {
    sensitive(&Zeroizing::new([&b"Bearer "[..], token.trim_ascii()].concat()))
}

fn sensitive(text: &[u8]) -> Result<HeaderValue, ()> {
    let mut value = HeaderValue::from_bytes(text).map_err(|_| ())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_with_a_newline_at_its_end_is_the_token_and_one_inside_is_refused() {
        let header = |token: &str| Credential::new(&Authorization::Bearer(token.into()));
        let Ok(Credential::Fixed(Some(value))) = header("abc\n") else { panic!() };
        assert_eq!(value, "Bearer abc");
        assert!(value.is_sensitive());
        assert!(matches!(header("a\nb"), Err(AccessError::Credential { .. })));
    }

    #[test]
    fn a_name_and_a_password_are_basic_authentication() {
        let basic = Authorization::Basic { user: String::from("aladdin"), password: "open sesame".into() };
        let Ok(Credential::Fixed(Some(value))) = Credential::new(&basic) else { panic!() };
        assert_eq!(value, "Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_file_is_read_again_after_a_minute_and_after_a_refusal() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let credential = Credential::new(&Authorization::BearerFile(path.clone())).unwrap();
        assert!(matches!(credential.header().await, Err(Error::Unauthorized(_))));
        std::fs::write(&path, "one\n").unwrap();
        assert_eq!(credential.header().await.unwrap().unwrap(), "Bearer one");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(credential.header().await.unwrap().unwrap(), "Bearer one");
        credential.refused();
        assert_eq!(credential.header().await.unwrap().unwrap(), "Bearer two");
        std::fs::write(&path, "three").unwrap();
        tokio::time::advance(FRESH).await;
        assert_eq!(credential.header().await.unwrap().unwrap(), "Bearer three");
    }
}
