//! How products are taxed.

use sea_orm_migration::prelude::*;

use crate::{columns::Columns, steps};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// What was sold before is taxed as most things are.
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let class = Columns::of(m)
            .string("tax_class", 32)
            .default("standard")
            .take();
        steps::column(m, "products", class).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop_column(m, "products", "tax_class").await
    }
}
