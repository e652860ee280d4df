use rustls::{
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    pki_types::UnixTime,
};

use super::*;

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// Whether somebody who trusts `bundle` accepts a certificate that `by` issues at `now`.
fn trusts(bundle: &str, by: &Authorities, now: Timestamp) -> bool {
    let issued = by.issue(&[String::from("hub.system.svc")], now).unwrap();
    let roots = runtime::tls::roots("bundle", bundle.as_bytes()).unwrap();
    let provider = rustls::crypto::ring::default_provider();
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots.into(), provider.into()).build().unwrap();
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.as_second() as u64));
    let name = "hub.system.svc".try_into().unwrap();
    verifier.verify_server_cert(&issued.key.cert[0], &[], &name, &[], at).is_ok()
}

#[test]
fn nothing_changes_for_eight_years() {
    let authorities = Authorities::make(start()).unwrap();
    assert!(authorities.advance(start() + DAY * (8 * 365 - 2), true).unwrap().is_none());
    assert!(trusts(&authorities.bundle(), &authorities, start()));
}

#[test]
fn at_no_step_of_a_rotation_is_anybody_distrusted() {
    let before = Authorities::make(start()).unwrap();
    let mut now = start() + DAY * (8 * 365 + 1);
    let announced = before.advance(now, true).unwrap().unwrap();
    assert!(announced.signs_like(&before), "the new authority does not sign yet");
    assert!(trusts(&before.bundle(), &announced, now), "a bundle that is not yet renewed is enough");

    now += SignedDuration::from_hours(23);
    assert!(announced.advance(now, true).unwrap().is_none(), "a day has not passed");
    now += SignedDuration::from_hours(2);
    assert!(announced.advance(now, false).unwrap().is_none(), "somebody has not got the bundle yet");
    let promoted = announced.advance(now, true).unwrap().unwrap();
    assert!(!promoted.signs_like(&announced));
    assert!(trusts(&announced.bundle(), &promoted, now), "the bundle of the day before knows the new one");
    assert!(
        trusts(&promoted.bundle(), &announced, now),
        "the new bundle knows replicas that have not renewed"
    );

    now = start() + DAY * (10 * 365 + 1);
    let alone = promoted.advance(now, true).unwrap().unwrap();
    assert!(alone.signs_like(&promoted));
    assert_eq!(split(&alone.bundle()).len(), 1, "the old one has expired and is forgotten");
}

#[test]
fn an_authority_found_expired_is_replaced_at_once() {
    let old = Authorities::make(start()).unwrap();
    let now = start() + DAY * (11 * 365);
    let new = old.advance(now, false).unwrap().unwrap();
    assert!(!new.signs_like(&old));
    assert!(trusts(&new.bundle(), &new, now));
}

#[test]
fn a_secret_holds_every_step_of_a_rotation() {
    let before = Authorities::make(start()).unwrap();
    let announced = before.advance(start() + DAY * (8 * 365 + 1), true).unwrap().unwrap();
    let promoted = announced.advance(start() + DAY * (8 * 365 + 3), true).unwrap().unwrap();
    for step in [before, announced, promoted] {
        let back = Authorities::from_data(&step.to_data()).unwrap();
        // Certificates hold whole seconds.
        assert_eq!(back.to_data(), step.to_data());
        assert_eq!(back.bundle(), step.bundle());
    }
}

#[test]
fn a_foreign_secret_is_refused_without_quoting_it() {
    let good = Authorities::make(start()).unwrap().to_data();
    let other = Authorities::make(start()).unwrap().to_data();
    let mixed = BTreeMap::from([
        ("tls.crt".to_owned(), good["tls.crt"].clone()),
        ("tls.key".to_owned(), other["tls.key"].clone()),
    ]);
    let garbage = BTreeMap::from([("tls.crt".to_owned(), ByteString(b"very-secret".to_vec()))]);
    for data in [BTreeMap::new(), mixed, garbage] {
        let error = Authorities::from_data(&data).err().unwrap();
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_certificate_is_renewed_after_two_thirds_of_ninety_days_and_never_outlives_its_authority() {
    let authorities = Authorities::make(start()).unwrap();
    let names = [String::from("localhost"), String::from("127.0.0.1")];
    let issued = authorities.issue(&names, start()).unwrap();
    let days = issued.renew_at.duration_since(start()).as_hours() / 24;
    assert!((59..=60).contains(&days), "{days}");
    let late = start() + DAY * (10 * 365 - 3);
    let issued = authorities.issue(&names, late).unwrap();
    assert!(issued.renew_at < late + DAY * 3);
}
