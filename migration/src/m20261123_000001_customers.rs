//! Customers: the people who order.

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
            c.table("customers")
                .col(c.id())
                .col(c.string("name", 120))
                // As it was typed; `email_key` is the folded form that is unique.
                .col(c.string("email", 254))
                .col(c.string("email_key", 762))
                .col(c.string_or_null("phone", 40))
                // Folded forms for sorting and searching: the databases fold case differently.
                .col(c.string("name_key", 360))
                .col(c.text("search_text").not_null())
                // Erased customers keep their row, so that their orders keep a customer.
                .col(c.flag("erased"))
                .col(c.time("created_at"))
                .col(c.time("updated_at"))
                .to_owned(),
        )
        .await?;
        steps::unique(m, "uq_customers_email_key", "customers", &["email_key"]).await?;
        steps::index(m, "ix_customers_id", "customers", &["erased", "id"]).await?;
        steps::index(
            m,
            "ix_customers_name",
            "customers",
            &["erased", "name_key", "id"],
        )
        .await?;
        steps::index(
            m,
            "ix_customers_created",
            "customers",
            &["erased", "created_at", "id"],
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, "customers").await
    }
}
