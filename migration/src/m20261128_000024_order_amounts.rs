//! What makes up the total of an order: discount, shipping and tax; and to whom it is written and billed.

use sea_orm_migration::{prelude::*, sea_orm::ConnectionTrait};

use crate::{columns::Columns, steps};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Amounts that an older order does not have.
const ORDER: [&str; 3] = ["discount_minor", "shipping_minor", "tax_minor"];
const ITEM: [&str; 3] = ["discount_minor", "tax_rate_thousandths", "tax_minor"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(m);
        for amount in ORDER {
            steps::column(m, "orders", c.number(amount).default(0).take()).await?;
        }
        for amount in ITEM {
            steps::column(m, "order_items", c.number(amount).default(0).take()).await?;
        }
        for column in [
            c.flag("prices_include_tax").default(true).take(),
            // What each rate has taxed, as JSON.
            c.text("taxes").null().take(),
            c.string_or_null("email", 254),
            c.text("billing_address").null().take(),
            c.string_or_null("shipping_name", 120),
            c.string_or_null("discount_code", 64),
            // Whose order it is: one each.
            c.string_or_null("checkout_id", 40),
        ] {
            steps::column(m, "orders", column).await?;
        }
        steps::unique(m, "uq_orders_checkout_id", "orders", &["checkout_id"]).await?;
        // Whom it was written to until now. Done again it changes nothing.
        let email = Query::select()
            .column(("customers", "email"))
            .from("customers")
            .and_where(Expr::col(("customers", "id")).equals(("orders", "customer_id")))
            .and_where(Expr::col(("customers", "erased")).eq(false))
            .take();
        let fill = Query::update()
            .table("orders")
            .value(
                "email",
                SimpleExpr::from(SubQueryStatement::SelectStatement(email)),
            )
            .and_where(Expr::col(("orders", "email")).is_null())
            .take();
        m.get_connection().execute(&fill).await.map(drop)
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop_index(m, "uq_orders_checkout_id", "orders").await?;
        for column in [
            "checkout_id",
            "discount_code",
            "shipping_name",
            "billing_address",
            "email",
            "taxes",
            "prices_include_tax",
        ] {
            steps::drop_column(m, "orders", column).await?;
        }
        for column in ITEM {
            steps::drop_column(m, "order_items", column).await?;
        }
        for column in ORDER {
            steps::drop_column(m, "orders", column).await?;
        }
        Ok(())
    }
}
