//! Base62: numbers in digits and letters, of which a double click selects all.

/// The digits.
pub(super) const DIGITS: &[u8; 62] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whether there is nothing but such digits.
pub(super) fn is_base62(text: &[u8]) -> bool {
    text.iter().all(|digit| DIGITS.contains(digit))
}

/// A number in base62, in that many digits. It is divided as by hand, byte by byte.
pub(super) fn base62<const N: usize>(mut number: [u8; N], digits: usize) -> String {
    let mut text = vec![DIGITS[0]; digits];
    for place in text.iter_mut().rev() {
        let mut rest = 0_u16;
        for byte in &mut number {
            let dividend = rest << 8 | u16::from(*byte);
            // Less than 256, because the rest before it was less than 62.
            *byte = u8::try_from(dividend / 62).unwrap_or_default();
            rest = dividend % 62;
        }
        *place = DIGITS[usize::from(rest)];
    }
    text.into_iter().map(char::from).collect()
}
