//! Write probes: where readiness tries whether the database takes writes. The table is always empty.

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
            c.table("write_probes")
                .col(c.id())
                .col(c.text("padding").not_null())
                .to_owned(),
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, "write_probes").await
    }
}
