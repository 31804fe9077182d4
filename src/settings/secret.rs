//! Secrets that sign tokens: how hard they are to guess.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::STANDARD};

/// The secret that stands in the configuration of development and tests.
const PUBLIC_SECRET: &str =
    "Ym94Y2FyLWRldmVsb3BtZW50LW9ubHkta2V5LW5vdC1mb3ItcHJvZHVjdGlvbi1hdC1hbGwtMDEyMzQ1Njc4OQ==";

/// The shortest key, in bytes: as long as what HMAC-SHA-512 makes (RFC 7518, section 3.2).
const MIN_BYTES: usize = 64;

/// How many bits an attacker has to guess at least (NIST SP 800-57 part 1, table 4).
const MIN_BITS: f64 = 128.0;

/// How many bytes that came before make a repetition. Chance alone repeats two of them.
const REPETITION: usize = 3;

/// Whether the secret is the public one of the source.
pub fn is_public_secret(secret: &str) -> bool {
    secret == PUBLIC_SECRET
}

/// Why the secret cannot sign tokens anywhere.
pub(super) fn fault(secret: &str) -> Option<&'static str> {
    if secret.is_empty() {
        return Some("is missing");
    }
    match STANDARD.decode(secret) {
        Err(_) => Some("is not base64"),
        Ok(key) if key.len() < MIN_BYTES => Some("is shorter than 64 bytes"),
        Ok(_) => None,
    }
}

/// Why the secret must not sign tokens that matter.
pub fn weakness(secret: &str) -> Option<&'static str> {
    if is_public_secret(secret) {
        return Some("is the public one of development");
    }
    let key = STANDARD.decode(secret).unwrap_or_default();
    (bits(&key) < MIN_BITS).then_some("is easily guessed: it has to be made by chance")
}

/// About how many bits there are to guess for an attacker who knows which bytes there are, or by how much each
/// differs from the one before, and what repeats the key itself or the public secret.
fn bits(key: &[u8]) -> f64 {
    let steps: Vec<u8> = key
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();
    let each = bits_per_byte(key).min(bits_per_byte(&steps));
    each * f64::from(u32::try_from(new_bytes(key)).unwrap_or(u32::MAX))
}

/// Shannon's entropy of one byte.
fn bits_per_byte(bytes: &[u8]) -> f64 {
    let mut counts: HashMap<u8, f64> = HashMap::new();
    let mut all = 0.0;
    for byte in bytes {
        *counts.entry(*byte).or_default() += 1.0;
        all += 1.0;
    }
    counts
        .values()
        .map(|count| count / all * (all / count).log2())
        .sum()
}

/// How many bytes are new: they repeat neither the key up to there nor the public secret.
fn new_bytes(key: &[u8]) -> usize {
    let mut known = STANDARD.decode(PUBLIC_SECRET).unwrap_or_default();
    let (mut new, mut rest) = (0, key);
    while !rest.is_empty() {
        let repeated = (REPETITION..=rest.len())
            .take_while(|length| known.windows(*length).any(|seen| seen == &rest[..*length]))
            .last();
        let (said, unsaid) = rest.split_at(repeated.unwrap_or(1));
        new += usize::from(repeated.is_none());
        known.extend_from_slice(said);
        rest = unsaid;
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_weak(key: impl AsRef<[u8]>) -> bool {
        weakness(&STANDARD.encode(key)).is_some()
    }

    #[test]
    fn a_key_that_is_made_by_chance_is_strong() {
        for _ in 0..100 {
            assert!(!is_weak(rand::random::<[u8; 64]>()));
        }
    }

    #[test]
    fn a_key_that_is_made_by_chance_and_written_in_hexadecimal_is_strong() {
        for _ in 0..100 {
            let digits = rand::random::<[u8; 32]>().map(|byte| format!("{byte:02x}"));
            assert!(!is_weak(digits.concat()), "{digits:?}");
        }
    }

    #[test]
    fn a_key_that_a_person_made_is_weak() {
        let public = STANDARD.decode(PUBLIC_SECRET).unwrap();
        let other_end = [&public[..public.len() - 8], b"ZYXWVUTS"].concat();
        let other_beginning = [b"ZYXWVUTS", &public[8..]].concat();
        let counting: Vec<u8> = (0..64).collect();
        let down_by_three: Vec<u8> = (0..64_u8).map(|i| 255 - 3 * i).collect();
        let chance = rand::random::<[u8; 8]>();
        for key in [
            &[0; 64][..],
            &[255; 100],
            &b"password".repeat(8),
            &[&b"password".repeat(8)[..], b"x"].concat(),
            &[&b"boxcar-production-"[..], &b"0".repeat(64)].concat(),
            b"change me before production! change me before production! change me before",
            &public,
            &other_end,
            &other_beginning,
            &counting,
            &down_by_three,
            &chance.repeat(8),
        ] {
            assert!(is_weak(key), "{}", String::from_utf8_lossy(key));
        }
    }
}
