//! The secrets of webhooks: shown once, and sealed in the database.

use boxcar::models::types::{Sealer, WebhookSecret};

const SECRET: &str = "c2VjcmV0";
const OTHER: &str = "U2VjcmV0";

fn sealer(secret: &str, previous: Option<&str>) -> Sealer {
    Sealer::keyed_with(secret, previous).unwrap()
}

#[test]
fn a_secret_is_24_random_bytes_with_its_prefix_and_cannot_be_printed() {
    let secret = WebhookSecret::generated();
    let text = secret.reveal();
    assert_eq!(text.len(), "whsec_".len() + 32);
    assert!(text.starts_with("whsec_"), "{text}");
    assert_eq!(secret.as_bytes().len(), 24);
    assert_ne!(secret, WebhookSecret::generated());
    assert_eq!(format!("{secret:?}"), "WebhookSecret(..)");
    // What receivers are given is what the reference library takes.
    let theirs = standardwebhooks::Webhook::new(&text).unwrap();
    let ours = standardwebhooks::Webhook::from_bytes(secret.as_bytes().to_vec()).unwrap();
    let sign = |webhook: &standardwebhooks::Webhook| webhook.sign("evt_1", 1, b"{}").unwrap();
    assert_eq!(sign(&theirs), sign(&ours));
}

#[test]
fn what_is_sealed_is_opened_and_never_the_same_twice() {
    let sealer = sealer(SECRET, None);
    let secret = WebhookSecret::generated();
    let (first, second) = (sealer.seal(&secret).unwrap(), sealer.seal(&secret).unwrap());
    assert_ne!(first, second);
    assert_eq!(sealer.open(&first), Some(secret.clone()));
    assert_eq!(sealer.open(&second), Some(secret));
    assert_eq!(format!("{sealer:?}"), "Sealer(..)");
}

#[test]
fn what_was_changed_or_sealed_elsewhere_is_not_opened() {
    let sealer = sealer(SECRET, None);
    let sealed = sealer.seal(&WebhookSecret::generated()).unwrap();
    for at in 0..sealed.len() {
        let mut changed = sealed.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(sealer.open(&changed), None, "{at}");
    }
    for text in ["", "no base64", "AAAA", &sealed[..64]] {
        assert_eq!(sealer.open(text), None, "{text}");
    }
    let elsewhere = Sealer::keyed_with(OTHER, None).unwrap();
    assert_eq!(elsewhere.open(&sealed), None);
    assert!(Sealer::keyed_with("no base64", None).is_err());
}

#[test]
fn after_a_new_secret_of_the_store_the_old_one_opens_until_all_is_sealed_anew() {
    let secret = WebhookSecret::generated();
    let old = sealer(SECRET, None).seal(&secret).unwrap();
    let changing = sealer(OTHER, Some(SECRET));
    assert_eq!(changing.open(&old), Some(secret.clone()));
    let anew = changing.reseal(&old).unwrap().unwrap();
    assert_eq!(sealer(OTHER, None).open(&anew), Some(secret));
    // Nothing is left to do, and nothing can be done.
    assert_eq!(changing.reseal(&anew).unwrap(), None);
    assert_eq!(sealer(OTHER, None).reseal(&old).unwrap(), None);
}
