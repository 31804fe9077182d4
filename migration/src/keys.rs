//! The folded forms of text that key columns hold. By them text is compared, sorted and searched alike on every
//! database, whatever its collations.

use unicode_normalization::UnicodeNormalization;

/// The form in which text is compared: composed (NFC) and in lower case.
#[must_use]
pub fn case_fold(text: &str) -> String {
    text.nfc().flat_map(char::to_lowercase).collect()
}

/// The form in which text is searched and sorted: without case, accents and compatibility forms, with one
/// plain blank for blanks of any kind. The form of a part is a part of the form.
#[must_use]
pub fn search_fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.nfkd().flat_map(char::to_lowercase).nfkd() {
        match letter {
            // Accents stand apart now. Marks of other scripts are letters there, and stay.
            '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
            // Invisible characters of formatting.
            | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => {}
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' => folded.push('d'),
            'ı' => folded.push('i'),
            'ς' => folded.push('σ'),
            blank if blank.is_whitespace() => {
                if !folded.ends_with(' ') {
                    folded.push(' ');
                }
            }
            other => folded.push(other),
        }
    }
    folded
}

/// The form in which a row is searched: its texts, with a character between them that no search has.
#[must_use]
pub fn search_text(texts: &[&str]) -> String {
    search_fold(&texts.join("\u{1f}"))
}

/// The form in which names are sorted, in at most that many characters: some letters fold to many.
#[must_use]
pub fn sort_fold(text: &str, characters: usize) -> String {
    search_fold(text).chars().take(characters).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folding_ignores_case_and_composition() {
        assert_eq!(case_fold("CAFE\u{301} ÅRE"), case_fold("café åre"));
    }

    #[test]
    fn a_search_ignores_case_accents_compatibility_forms_and_kinds_of_blanks() {
        for (text, found) in [
            ("Crème brûlée", "creme brulee"),
            ("Straße", "STRASSE"),
            ("Rössle Sauerkraut", "rossle"),
            ("Guaraná Fantástica", "guarana fantastica"),
            ("ﬁne Ⅳ ①", "fine iv 1"),
            ("Øl", "ol"),
            ("a\u{a0}\u{2003} b", "A B"),
            ("ΣΊΣΥΦΟΣ", "σισυφος"),
            ("İstanbul", "istanbul"),
        ] {
            assert!(
                search_fold(text).contains(&search_fold(found)),
                "{text}: {}",
                search_fold(text)
            );
        }
        assert!(search_fold("Pâté chinois") < search_fold("Pavlova"));
        assert!(search_fold("Äpfel") < search_fold("Zebra"));
        assert_ne!(search_fold("が"), search_fold("か"));
    }

    proptest! {
        #[test]
        fn folding_stays_within_three_times_the_length(text in "\\PC{0,40}") {
            prop_assert!(case_fold(&text).chars().count() <= 3 * text.chars().count());
        }

        #[test]
        fn the_form_of_a_part_is_a_part_of_the_form(before in "\\PC{0,8}", part in "\\PC{1,8}", after in "\\PC{0,8}") {
            let whole = search_fold(&[before, part.clone(), after].concat());
            prop_assert!(whole.contains(search_fold(&part).trim()), "{:?} in {:?}", part, whole);
        }
    }
}
