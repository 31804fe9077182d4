to: migration/src/{{ migration }}.rs
injections:
- into: migration/src/lib.rs
  before: ^mod steps;
  content: mod {{ migration }};
- into: migration/src/lib.rs
  before: inject-above
  content: "            Box::new({{ migration }}::Migration),"
---
//! {{ title }}.

use sea_orm_migration::prelude::*;

use crate::{columns::Columns, steps};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(m);
        steps::table(
            m,
            c.table("{{ plural }}")
                .col(c.id())
{%- for f in fields %}
{%- if f.kind == "string" %}
                .col(c.string{% if not f.required %}_or_null{% endif %}("{{ f.column }}", 200))
{%- elif f.kind == "text" %}
                .col(c.text("{{ f.column }}").{% if f.required %}not_null{% else %}null{% endif %}())
{%- elif f.kind == "bool" %}
                .col(c.flag("{{ f.column }}"))
{%- else %}
                .col(c.number{% if not f.required %}_or_null{% endif %}("{{ f.column }}"))
{%- endif %}
{%- endfor %}
                .col(c.time("created_at"))
                .col(c.time("updated_at"))
                .to_owned(),
        )
        .await?;
{%- for f in fields %}{% if f.unique %}
        steps::unique(m, "uq_{{ plural }}_{{ f.column }}", "{{ plural }}", &["{{ f.column }}"]).await?;
{%- endif %}{% endfor %}
        steps::index(m, "ix_{{ plural }}_created", "{{ plural }}", &["created_at", "id"]).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, "{{ plural }}").await
    }
}
