//! What an API key is for, and what it may do.

use strum::{Display, EnumString, IntoStaticStr, VariantArray, VariantNames};

/// For whom a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum KeyKind {
    /// For the browsers of visitors: it may be in a page's source.
    Publishable,
    /// For a program that keeps it to itself, with the scopes that it was given.
    Secret,
}

/// Something that a secret key may do. `:write` contains `:read`.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
    VariantNames,
)]
pub enum KeyScope {
    /// Read products and their ledgers.
    #[strum(serialize = "products:read")]
    ProductsRead,
    /// Change products and their stock.
    #[strum(serialize = "products:write")]
    ProductsWrite,
    /// Read all orders.
    #[strum(serialize = "orders:read")]
    OrdersRead,
    /// Place orders for customers, and change their status.
    #[strum(serialize = "orders:write")]
    OrdersWrite,
    /// Read customers and their addresses.
    #[strum(serialize = "customers:read")]
    CustomersRead,
    /// Change customers and their addresses.
    #[strum(serialize = "customers:write")]
    CustomersWrite,
    /// Read customer accounts.
    #[strum(serialize = "customer_accounts:read")]
    CustomerAccountsRead,
    /// Change customer accounts, but those of administrators.
    #[strum(serialize = "customer_accounts:write")]
    CustomerAccountsWrite,
    /// Read webhook endpoints and deliveries.
    #[strum(serialize = "webhooks:read")]
    WebhooksRead,
    /// Change webhook endpoints, and send deliveries again.
    #[strum(serialize = "webhooks:write")]
    WebhooksWrite,
    /// Read checkouts.
    #[strum(serialize = "checkouts:read")]
    CheckoutsRead,
    /// Change checkouts.
    #[strum(serialize = "checkouts:write")]
    CheckoutsWrite,
    /// Read tax and shipping rates.
    #[strum(serialize = "rates:read")]
    RatesRead,
    /// Change tax and shipping rates.
    #[strum(serialize = "rates:write")]
    RatesWrite,
    /// Read discounts.
    #[strum(serialize = "discounts:read")]
    DiscountsRead,
    /// Change discounts.
    #[strum(serialize = "discounts:write")]
    DiscountsWrite,
    /// Read events.
    #[strum(serialize = "events:read")]
    EventsRead,
    /// Read what became of mails.
    #[strum(serialize = "mails:read")]
    MailsRead,
    /// What a publishable key may, for the visitor whose address it gives.
    #[strum(serialize = "visitors")]
    Visitors,
}

super::choice!(KeyKind, "ApiKeyKind");
super::choice!(KeyScope, "ApiKeyScope");

impl KeyKind {
    /// How its keys begin.
    #[must_use]
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Publishable => "pk_",
            Self::Secret => "sk_",
        }
    }
}

impl KeyScope {
    /// How many there are.
    pub const COUNT: usize = <Self as VariantNames>::VARIANTS.len();

    /// What it contains beside itself.
    fn contained(self) -> Option<Self> {
        let subject = self.as_str().strip_suffix(":write")?;
        format!("{subject}:read").parse().ok()
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// What a key may do, all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyScopes(u32);

impl KeyScopes {
    /// Whether that may be done.
    #[must_use]
    pub const fn include(self, scope: KeyScope) -> bool {
        self.0 & scope.bit() != 0
    }
}

impl FromIterator<KeyScope> for KeyScopes {
    fn from_iter<I: IntoIterator<Item = KeyScope>>(scopes: I) -> Self {
        let bits = scopes.into_iter().fold(0, |bits, scope| {
            bits | scope.bit() | scope.contained().map_or(0, KeyScope::bit)
        });
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_write_contains_to_read_the_same_and_nothing_else_contains_anything() {
        for &given in <KeyScope as VariantArray>::VARIANTS {
            let scopes: KeyScopes = std::iter::once(given).collect();
            for &asked in <KeyScope as VariantArray>::VARIANTS {
                let reads = given.as_str().replace(":write", ":read");
                let expected = asked == given || asked.as_str() == reads;
                assert_eq!(scopes.include(asked), expected, "{given} for {asked}");
            }
        }
    }
}
