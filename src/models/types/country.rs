//! Countries.

use std::sync::LazyLock;

use utoipa::openapi::Schema;

use super::{RuleViolation, Scalar, string, text};

/// Every code that ISO 3166-1 assigns, and `XK`, which the post uses for Kosovo.
const CODES: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA \
    CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA \
    GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP \
    KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS \
    MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS \
    RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW \
    TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

/// The codes of countries, in a regular expression.
static PATTERN: LazyLock<String> = LazyLock::new(|| {
    let either = |letter: &str| format!("{letter}{}", letter.to_ascii_lowercase());
    let codes: Vec<_> = CODES.split(' ').map(|code| code.split_at(1)).collect();
    let countries = codes.chunk_by(|(first, _), (next, _)| first == next);
    let countries = countries.map(|codes| {
        let first = codes.first().map_or("", |(first, _)| first);
        let second: String = codes.iter().map(|(_, second)| either(second)).collect();
        format!("[{}][{second}]", either(first))
    });
    let countries: Vec<_> = countries.collect();
    countries.join("|")
});

text! {
    /// The code of a country: two letters (ISO 3166-1 alpha-2), or `XK`. Small letters are folded.
    CountryCode
}

impl Scalar for CountryCode {
    const SCHEMA: Option<&'static str> = Some("CountryCode");

    fn parse(text: &str) -> Result<Self, RuleViolation> {
        let code = text.trim().to_ascii_uppercase();
        if code.len() == 2 && CODES.split(' ').any(|known| known == code) {
            return Ok(Self(code));
        }
        let message =
            "must be the code of a country in two letters (ISO 3166-1 alpha-2), such as DE";
        Err(RuleViolation::new("choice", message))
    }

    fn schema() -> Schema {
        string()
            .description(Some(
                "The code of a country (ISO 3166-1 alpha-2, or `XK`). It is kept in capitals.",
            ))
            .pattern(Some(format!("^\\s*({})\\s*$", *PATTERN)))
            .into()
    }
}

text! {
    /// Where something is sent: the code of a country, or `*` for all others.
    Destination
}

impl Destination {
    /// Everywhere.
    pub const ANYWHERE: &str = "*";
}

impl Scalar for Destination {
    const SCHEMA: Option<&'static str> = Some("Destination");

    fn parse(text: &str) -> Result<Self, RuleViolation> {
        if text.trim() == Self::ANYWHERE {
            return Ok(Self(Self::ANYWHERE.to_owned()));
        }
        let message =
            "must be * or the code of a country in two letters (ISO 3166-1 alpha-2), such as DE";
        let country = CountryCode::parse(text)
            .map_err(|violation| RuleViolation::new(violation.code, message))?;
        Ok(Self(country.into()))
    }

    fn schema() -> Schema {
        string()
            .description(Some(
                "The code of a country (ISO 3166-1 alpha-2, or `XK`), or `*` for every country.",
            ))
            .pattern(Some(format!("^\\s*(\\*|{})\\s*$", *PATTERN)))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_has_one_code_in_either_case() {
        let codes: std::collections::BTreeSet<_> = CODES.split(' ').collect();
        assert_eq!(codes.len(), 250, "249 countries, and one code for the post");
        for code in codes {
            assert_eq!(CountryCode::parse(code).unwrap().as_str(), code);
            let small = format!(" {} ", code.to_ascii_lowercase());
            assert_eq!(CountryCode::parse(&small).unwrap().as_str(), code);
        }
    }

    #[test]
    fn a_destination_is_a_country_or_everywhere() {
        for (text, kept) in [(" * ", "*"), ("de", "DE")] {
            assert_eq!(Destination::parse(text).unwrap().as_str(), kept);
        }
        for text in ["", "**", "D*", "UK"] {
            assert_eq!(
                Destination::parse(text).unwrap_err().code,
                "choice",
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_country_is_refused() {
        for text in [
            "", " ", "D", "DEU", "D E", "ZZ", "XX", "AA", "UK", "EU", "Germany", "ß", "ＤＥ",
            "DE AT", "E A", "dé",
        ] {
            assert_eq!(
                CountryCode::parse(text).unwrap_err().code,
                "choice",
                "{text}"
            );
        }
    }
}
