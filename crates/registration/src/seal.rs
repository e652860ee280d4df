//! Sealed boxes (X25519, XSalsa20-Poly1305): anybody who has a public key can close one, only the owner of the private
//! key can open it.
//!
//! The hub seals a child's credential to the key in the child's registration request, so the status of the request may
//! be read by others. Nothing here says who closed a box: that the answer comes from the hub is what the parent's API
//! server vouches for.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use crypto_box::{
    Nonce, SalsaBox, SecretKey,
    aead::{Aead as _, OsRng},
};
use zeroize::Zeroizing;

/// The length of both keys in bytes.
const KEY_LENGTH: usize = 32;

/// Why a key or a box was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not the base64 of 32 bytes.
    #[error("the key is not the base64 of {KEY_LENGTH} bytes")]
    Key,
    /// Everybody could open a box that is sealed to this key.
    #[error("the key is one of the few that protect nothing")]
    WeakKey,
    /// The box was sealed to another key, or was changed on its way.
    #[error("the box was not sealed to this key, or was changed on its way")]
    Open,
    /// The box could not be closed.
    #[error("the box could not be closed")]
    Seal,
}

/// The key that opens boxes. Wiped from memory when dropped; prints no content.
#[derive(Clone)]
pub struct PrivateKey(SecretKey);

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PrivateKey")
    }
}

impl PrivateKey {
    /// A new key from the operating system's randomness.
    pub fn generate() -> Self {
        Self(SecretKey::generate(&mut OsRng))
    }

    /// Reads what [`PrivateKey::to_base64`] wrote.
    pub fn from_base64(text: &str) -> Result<Self, Error> {
        Ok(Self(SecretKey::from(*decode(text)?)))
    }

    /// The key as text, for a Secret.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(Zeroizing::new(self.0.to_bytes()).as_slice()))
    }

    /// The key to give away.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.public_key())
    }

    /// Opens a box that was sealed to [`PrivateKey::public`].
    pub fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.0.unseal(sealed).map(Zeroizing::new).map_err(|_| Error::Open)
    }
}

/// The key that closes boxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(crypto_box::PublicKey);

impl PublicKey {
    /// Reads what [`PublicKey::to_base64`] wrote. Refuses the keys of small order, whose boxes everybody can open.
    pub fn from_base64(text: &str) -> Result<Self, Error> {
        let key = crypto_box::PublicKey::from(*decode(text)?);
        if is_weak(&key)? { Err(Error::WeakKey) } else { Ok(Self(key)) }
    }

    /// The key as text, for an annotation.
    pub fn to_base64(&self) -> String {
        BASE64.encode(self.0.as_bytes())
    }

    /// Closes a box that only the owner of the private key can open. Two boxes with the same content differ.
    pub fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.seal(&mut OsRng, plain).map_err(|_| Error::Seal)
    }
}

fn decode(text: &str) -> Result<Zeroizing<[u8; KEY_LENGTH]>, Error> {
    // Longer texts are refused unread: this one comes from anybody who may create a request.
    if text.len() > 64 {
        return Err(Error::Key);
    }
    let bytes = Zeroizing::new(BASE64.decode(text).map_err(|_| Error::Key)?);
    Ok(Zeroizing::new(bytes.as_slice().try_into().map_err(|_| Error::Key)?))
}

/// With a point of small order the shared secret is zero whatever the other side's key is, so it makes the same box as
/// the point zero does.
fn is_weak(key: &crypto_box::PublicKey) -> Result<bool, Error> {
    let probe = |key: &crypto_box::PublicKey| {
        SalsaBox::new(key, &SecretKey::from([7; KEY_LENGTH]))
            .encrypt(&Nonce::default(), [].as_slice())
            .map_err(|_| Error::Seal)
    };
    Ok(probe(key)? == probe(&crypto_box::PublicKey::from([0; KEY_LENGTH]))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_opens_a_box() {
        let owner = PrivateKey::generate();
        let sealed = owner.public().seal(b"token").unwrap();
        assert_eq!(owner.open(&sealed).unwrap().as_slice(), b"token");
        assert_eq!(PrivateKey::generate().open(&sealed).unwrap_err(), Error::Open);
    }

    #[test]
    fn keys_survive_being_written_as_text() {
        let owner = PrivateKey::generate();
        let again = PrivateKey::from_base64(&owner.to_base64()).unwrap();
        let public = PublicKey::from_base64(&owner.public().to_base64()).unwrap();
        assert_eq!(again.open(&public.seal(b"token").unwrap()).unwrap().as_slice(), b"token");
    }

    #[test]
    fn the_same_content_never_makes_the_same_box() {
        let public = PrivateKey::generate().public();
        assert_ne!(public.seal(b"token").unwrap(), public.seal(b"token").unwrap());
    }

    #[test]
    fn a_box_that_was_changed_or_cut_is_refused() {
        let owner = PrivateKey::generate();
        let mut sealed = owner.public().seal(b"token").unwrap();
        for length in [0, 31, 32, 33, 47, sealed.len() - 1] {
            assert_eq!(owner.open(&sealed[..length]).unwrap_err(), Error::Open, "{length} bytes");
        }
        *sealed.last_mut().unwrap() ^= 1;
        assert_eq!(owner.open(&sealed).unwrap_err(), Error::Open);
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        for text in ["", "AAAA", "not base64!", &BASE64.encode([1; 33]), &"A".repeat(10_000)] {
            assert_eq!(PublicKey::from_base64(text).unwrap_err(), Error::Key, "{text:.20}");
        }
    }

    #[test]
    fn keys_that_protect_nothing_are_refused() {
        let prime_plus = |n: u8| {
            let mut bytes = [0xff; KEY_LENGTH];
            (bytes[0], bytes[31]) = (0xed_u8.wrapping_add(n), 0x7f);
            bytes
        };
        let mut one = [0; KEY_LENGTH];
        one[0] = 1;
        let order_eight = [
            0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
            0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
        ];
        let weak = [[0; KEY_LENGTH], one, order_eight, prime_plus(0xff), prime_plus(0), prime_plus(1)];
        for bytes in weak {
            assert_eq!(
                PublicKey::from_base64(&BASE64.encode(bytes)).unwrap_err(),
                Error::WeakKey,
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn a_private_key_prints_no_content() {
        let owner = PrivateKey::generate();
        assert_eq!(format!("{owner:?}"), "PrivateKey");
    }
}
