to: src/models/{{ plural }}.rs
injections:
- into: src/models/mod.rs
  before: ^pub mod customers;
  content: pub mod {{ plural }};
- into: src/models/cache_tag.rs
  after: ^    Order\(i64\),
  content: "    /// The list of {{ words_plural }}.\n    {{ pascal_plural }},\n    /// One {{ words }}.\n    {{ pascal }}(i64),"
- into: src/models/cache_tag.rs
  after: Self::Order\(id\) =>
  content: "            Self::{{ pascal_plural }} => f.write_str(\"{{ plural }}\"),\n            Self::{{ pascal }}(id) => write!(f, \"{{ name }}:{id}\"),"
---
//! {{ title }}.

use sea_orm::{
    ActiveValue::Set, ConnectionTrait, IntoActiveModel, QuerySelect, entity::prelude::*,
};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use super::_entities::{{ plural }}::{ActiveModel, Column, Entity, Model};
{%- set_global unique = false %}
{%- for f in fields %}{% if f.unique %}{% set_global unique = f %}{% endif %}{% endfor %}
use super::{
    {% if unique %}Error, {% endif %}Result, CacheTag, Transaction,
{%- if unique %}
    error::taken,
{%- endif %}
    found,
    input::Input,
    listing::{self, Listing, NoFilter, Page, Sort, SortKey},
    now,
{%- if types | length > 0 %}
    types::{ {{- types | join(sep=", ") -}} },
{%- endif %}
};

impl ActiveModelBehavior for ActiveModel {}

// The types are wide: narrower ones, with names of their own, stand in `types/mod.rs`.
/// What {{ article }} {{ words }} is created from, or replaced with.
#[derive(Clone, Debug, Input)]
#[input(schema = {{ pascal }}Body, patch = Changes as {{ pascal }}Patch)]
pub struct Details {
{%- for f in fields %}
    /// The {{ f.words }}{% if f.unique %}, which no other {{ words }} has{% endif %}.
    pub {{ f.name }}: {% if f.required %}{{ f.input }}{% else %}Option<{{ f.input }}>{% endif %},
{%- endfor %}
}

/// What {{ words_plural }} are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Key {
    /// The id.
    Id,
    /// When they were added.
    CreatedAt,
}

impl SortKey for Key {
    type Entity = Entity;

    const ID: Column = Column::Id;
    const DEFAULT: Sort<Self> = Sort::ascending(Self::Id);

    fn column(self) -> Option<Column> {
        match self {
            Self::Id => None,
            Self::CreatedAt => Some(Column::CreatedAt),
        }
    }
}

impl Model {
    /// The {{ words }} with that id.
    pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Self> {
        found(db, Entity::find_by_id(id)).await
    }

    /// The {{ words }} with that id, locked until the transaction ends.
    pub async fn find_locked(txn: &Transaction, id: i64) -> Result<Self> {
        found(txn, Entity::find_by_id(id).lock_exclusive()).await
    }

    /// A page of {{ words_plural }}.
    pub async fn list(
        db: &impl ConnectionTrait,
        listing: &Listing<NoFilter, Key>,
    ) -> Result<Page<Self>> {
        listing::fetch(db, Entity::find(), listing).await
    }

    /// How many {{ words_plural }} a list has.
    pub async fn count(db: &impl ConnectionTrait, filter: &NoFilter) -> Result<u64> {
        listing::count(db, Entity::find(), filter).await
    }

    /// Adds {{ article }} {{ words }}.
{%- if unique %}
    ///
    /// # Errors
    /// [`Error::NotUnique`] for the {{ unique.words }}.
{%- endif %}
    pub async fn create(txn: &Transaction, details: &Details) -> Result<Self> {
        txn.touch([CacheTag::{{ pascal_plural }}]);
{%- if unique %}
        let {{ name }} = ActiveModel::new_{{ name }}(details).insert(txn).await;
        {{ name }}.map_err({{ unique.name }}_taken())
{%- else %}
        Ok(ActiveModel::new_{{ name }}(details).insert(txn).await?)
{%- endif %}
    }

    /// Changes some of the {{ words }}, which has to be locked.
{%- if unique %}
    ///
    /// # Errors
    /// [`Error::NotUnique`] for the {{ unique.words }}.
{%- endif %}
    pub async fn change(self, txn: &Transaction, changes: &Changes) -> Result<Self> {
        self.touch(txn);
        let {{ name }} = self.into_active_model().assign(changes);
{%- if unique %}
        {{ name }}.update(txn).await.map_err({{ unique.name }}_taken())
{%- else %}
        Ok({{ name }}.update(txn).await?)
{%- endif %}
    }

    /// Deletes the {{ words }}, which has to be locked.
    pub async fn delete(self, txn: &Transaction) -> Result<()> {
        self.touch(txn);
        Entity::delete_by_id(self.id).exec(txn).await?;
        Ok(())
    }

    fn touch(&self, txn: &Transaction) {
        txn.touch([CacheTag::{{ pascal_plural }}, CacheTag::{{ pascal }}(self.id)]);
    }
}

impl ActiveModel {
    fn new_{{ name }}(details: &Details) -> Self {
        let mut {{ name }} = <Self as Default>::default().assign(&details.clone().into());
        {{ name }}.created_at = {{ name }}.updated_at.clone();
        {{ name }}
    }

    /// Sets what is to change.
    fn assign(mut self, changes: &Changes) -> Self {
{%- for f in fields %}
{%- if f.kind == "string" or f.kind == "text" %}
        if let Some({{ f.name }}) = &changes.{{ f.name }} {
            self.{{ f.column }} = Set({{ f.name }}.clone().{% if f.required %}into(){% else %}map(String::from){% endif %});
        }
{%- else %}
        if let Some({{ f.name }}) = changes.{{ f.name }} {
            self.{{ f.column }} = Set({{ f.name }}
{%- if f.kind == "int" %}{% if f.required %}.get(){% else %}.map(BoundedInt::get){% endif %}
{%- elif f.kind == "money" %}{% if f.required %}.minor(){% else %}.map(Money::minor){% endif %}
{%- endif %});
        }
{%- endif %}
{%- endfor %}
        self.updated_at = Set(now());
        self
    }
}
{%- if unique %}

fn {{ unique.name }}_taken() -> impl Fn(DbErr) -> Error {
    taken("uq_{{ plural }}_{{ unique.column }}", "/{{ unique.name }}", "belongs to another {{ words }}")
}
{%- endif %}
