//! What a resource is called, in each place where it is named.

use std::{collections::BTreeSet, fs, path::Path};

use cruet::string::{pluralize::to_plural, singularize::to_singular};
use heck::{ToKebabCase, ToPascalCase, ToSnakeCase};
use serde::Serialize;

use super::{
    Result,
    field::{Field, identifier, words},
};

/// A resource, such as a gift card.
#[derive(Serialize)]
pub struct Resource {
    /// `gift_card`
    name: String,
    /// `gift_cards`: its table and modules.
    plural: String,
    /// `GiftCard`
    pascal: String,
    /// `GiftCards`
    pascal_plural: String,
    /// `gift-cards`: its path.
    path: String,
    /// `gift card`
    words: String,
    /// `gift cards`
    words_plural: String,
    /// `Gift cards`
    title: String,
    /// `a`, or `an` before a vowel.
    article: &'static str,
    /// `m20270131_000011_gift_cards`
    migration: String,
    fields: Vec<Field>,
    /// The types that its fields have, such as `BoundedInt`.
    types: BTreeSet<&'static str>,
}

impl Resource {
    /// The resource of that name with those fields, which the store does not have yet.
    pub fn new(name: &str, fields: Vec<Field>) -> Result<Self> {
        let name = identifier(&to_singular(&name.to_snake_case()))?;
        let plural = to_plural(&name);
        if plural == name {
            return Err(format!("{name}: its plural has to be another word").into());
        }
        if Path::new("src/models")
            .join(&plural)
            .with_extension("rs")
            .exists()
        {
            return Err(format!("{plural}: the store has them already").into());
        }
        let names: BTreeSet<_> = fields.iter().map(|field| &field.name).collect();
        if names.len() < fields.len() {
            return Err("a field is named twice".into());
        }
        if fields.iter().filter(|field| field.unique).count() > 1 {
            return Err("only one field can be unique; add the index of another by hand".into());
        }
        let words_plural = words(&plural);
        Ok(Self {
            pascal: name.to_pascal_case(),
            pascal_plural: plural.to_pascal_case(),
            path: plural.to_kebab_case(),
            words: words(&name),
            title: words_plural[..1].to_uppercase() + &words_plural[1..],
            words_plural,
            article: if name.starts_with(['a', 'e', 'i', 'o', 'u']) {
                "an"
            } else {
                "a"
            },
            migration: migration(&plural)?,
            types: fields.iter().filter_map(Field::imported).collect(),
            name,
            plural,
            fields,
        })
    }
}

/// The name of a migration of today, which has the next number.
fn migration(table: &str) -> Result<String> {
    let mut last = 0;
    for file in fs::read_dir("migration/src")? {
        let name = file?.file_name().into_string().unwrap_or_default();
        let number = name
            .split('_')
            .nth(1)
            .and_then(|number| number.parse().ok());
        last = last.max(number.unwrap_or(0));
    }
    let today = chrono::Utc::now().format("%Y%m%d");
    Ok(format!("m{today}_{:06}_{table}", last + 1))
}
