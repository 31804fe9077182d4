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
- into: src/models/types/event_type.rs
  before: ^    /// A customer was added\.
  content: "    /// {{ article | capitalize }} {{ words }} was added.\n    #[strum(serialize = \"{{ name }}.created\")]\n    {{ pascal }}Created,\n    /// {{ article | capitalize }} {{ words }} was changed.\n    #[strum(serialize = \"{{ name }}.updated\")]\n    {{ pascal }}Updated,\n    /// {{ article | capitalize }} {{ words }} was deleted.\n    #[strum(serialize = \"{{ name }}.deleted\")]\n    {{ pascal }}Deleted,"
- into: src/models/types/event_type.rs
  before: ^    /// A customer\.$
  content: "    /// {{ article | capitalize }} {{ words }}.\n    {{ pascal }},"
- into: src/models/events.rs
  before: ^    /// A customer\.$
  content: "    /// {{ article | capitalize }} {{ words }}.\n    {{ pascal }}(Box<super::{{ plural }}::Model>),"
- into: src/models/events.rs
  before: "^            \\(Subject::Customer\\(_\\), CustomerCreated\\)"
  content: "            (Subject::{{ pascal }}(_), EventType::{{ pascal }}Created) => vec![CacheTag::{{ pascal_plural }}],\n            (Subject::{{ pascal }}(_), _) => vec![CacheTag::{{ pascal_plural }}, CacheTag::{{ pascal }}(id)],"
- into: src/models/events.rs
  before: "^            Self::Customer\\(_\\) => SubjectKind"
  content: "            Self::{{ pascal }}(_) => SubjectKind::{{ pascal }},"
- into: src/models/events.rs
  before: "^            Self::Customer\\(customer\\) => customer\\.id"
  content: "            Self::{{ pascal }}({{ name }}) => {{ name }}.id,"
- into: src/models/events.rs
  before: ^impl From<&customers::Model> for Subject
  content: "impl From<&super::{{ plural }}::Model> for Subject {\n    fn from({{ name }}: &super::{{ plural }}::Model) -> Self {\n        Self::{{ pascal }}(Box::new({{ name }}.clone()))\n    }\n}\n"
---
//! {{ title }}.

use sea_orm::{
    ActiveValue::Set, ConnectionTrait, IntoActiveModel, QuerySelect, TryIntoModel, entity::prelude::*,
};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use super::_entities::{{ plural }}::{ActiveModel, Column, Entity, Model};
{%- set_global unique = false %}
{%- for f in fields %}{% if f.unique %}{% set_global unique = f %}{% endif %}{% endfor %}
use super::{
    {% if unique %}Error, {% endif %}Result, Transaction,
{%- if unique %}
    error::taken,
{%- endif %}
    found,
    input::Input,
    listing::{self, Listing, NoFilter, Page, Sort, SortKey},
    now,
    types::{EventType{% for t in types %}, {{ t }}{% endfor %}},
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
        let {{ name }} = ActiveModel::new_{{ name }}(details).insert(txn).await;
{%- if unique %}
        let {{ name }} = {{ name }}.map_err({{ unique.name }}_taken())?;
{%- else %}
        let {{ name }} = {{ name }}?;
{%- endif %}
        txn.happened(EventType::{{ pascal }}Created, &{{ name }});
        Ok({{ name }})
    }

    /// Changes some of the {{ words }}, which has to be locked. Where nothing differs it stays as it is.
{%- if unique %}
    ///
    /// # Errors
    /// [`Error::NotUnique`] for the {{ unique.words }}.
{%- endif %}
    pub async fn change(self, txn: &Transaction, changes: &Changes) -> Result<Self> {
        let {{ name }} = self.clone().into_active_model().assign(changes);
        let unchanged = Self {
            updated_at: *{{ name }}.updated_at.as_ref(),
            ..self.clone()
        };
        if {{ name }}.clone().try_into_model()? == unchanged {
            return Ok(self);
        }
        let {{ name }} = {{ name }}.update(txn).await{% if unique %}.map_err({{ unique.name }}_taken()){% endif %}?;
        txn.happened(EventType::{{ pascal }}Updated, &{{ name }});
        Ok({{ name }})
    }

    /// Deletes the {{ words }}, which has to be locked.
    pub async fn delete(self, txn: &Transaction) -> Result<()> {
        txn.happened(EventType::{{ pascal }}Deleted, &self);
        Entity::delete_by_id(self.id).exec(txn).await?;
        Ok(())
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
