{% set_global money = false %}
{%- for f in fields %}{% if f.kind == "money" %}{% set_global money = true %}{% endif %}{% endfor -%}
to: src/views/{{ plural }}.rs
injections:
- into: src/views/mod.rs
  before: ^pub mod customers;
  content: pub mod {{ plural }};
- into: src/views/events.rs
  before: ^    /// A customer\.$
  content: "    /// {{ article | capitalize }} {{ words }}.\n    {{ pascal }}(Box<super::{{ plural }}::{{ pascal }}>),"
- into: src/views/events.rs
  before: "^            Subject::Customer\\(customer\\)"
  content: "            Subject::{{ pascal }}({{ name }}) => Self::{{ pascal }}(Box::new((*{{ name }}).into())),"
- into: src/initializers/swagger/examples.yaml
  append: true
  content: |
    {{ pascal }}:
      summary: {{ article | capitalize }} {{ words }}
      value: &{{ name }}
        id: 1
{%- for f in fields %}
        {{ f.name }}: {% if f.kind == "money" %}'{{ f.samples.0 }}'{% else %}{{ f.samples.0 }}{% endif %}
{%- endfor %}
        created_at: 2026-01-31T08:00:00Z
        updated_at: 2026-01-31T08:00:00Z
    Page_{{ pascal }}:
      summary: A page by number
      value:
        items:
        - *{{ name }}
        page: 1
        page_size: 25
        total_pages: 1
        total_items: 1
    {{ pascal }}Body:
      summary: Everything that can be said of {{ article }} {{ words }}
      value:
{%- for f in fields %}
        {{ f.name }}: {% if f.kind == "money" %}'{{ f.samples.0 }}'{% else %}{{ f.samples.0 }}{% endif %}
{%- endfor %}
    {{ pascal }}Patch:
{%- set f = fields.0 %}
      summary: Another {{ f.words }}
      value:
        {{ f.name }}: {% if f.kind == "money" %}'{{ f.samples.1 }}'{% else %}{{ f.samples.1 }}{% endif %}
---
//! {{ title }} on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::models::{% if money %}{ {{- plural }}::Model, types::{Amount, Money}}{% else %}{{ plural }}::Model{% endif %};

/// {{ article | capitalize }} {{ words }}.
#[derive(Debug, Serialize, ToSchema)]
pub struct {{ pascal }} {
    /// The id.
    id: i64,
{%- for f in fields %}
    /// The {{ f.words }}.
{%- if f.kind == "money" %}
    #[schema({% if f.required %}value_type = Amount{% else %}required, value_type = Option<Amount>{% endif %})]
    {{ f.name }}: {% if f.required %}String{% else %}Option<String>{% endif %},
{%- else %}
{%- if not f.required %}
    #[schema(required)]
{%- endif %}
    {{ f.name }}: {% if f.required %}{{ f.row }}{% else %}Option<{{ f.row }}>{% endif %},
{%- endif %}
{%- endfor %}
    /// When it was added.
    #[serde(serialize_with = "super::moment")]
    created_at: DateTime<Utc>,
    /// When it last changed.
    #[serde(serialize_with = "super::moment")]
    updated_at: DateTime<Utc>,
}

impl From<Model> for {{ pascal }} {
    fn from({{ name }}: Model) -> Self {
        Self {
            id: {{ name }}.id,
{%- for f in fields %}
{%- if f.kind != "money" %}
            {{ f.name }}: {{ name }}.{{ f.name }},
{%- elif f.required %}
            {{ f.name }}: Money::from_minor({{ name }}.{{ f.column }}).to_string(),
{%- else %}
            {{ f.name }}: {{ name }}.{{ f.column }}.map(|minor| Money::from_minor(minor).to_string()),
{%- endif %}
{%- endfor %}
            created_at: {{ name }}.created_at.to_utc(),
            updated_at: {{ name }}.updated_at.to_utc(),
        }
    }
}
