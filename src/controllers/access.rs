//! Who may call what: one table. The extractors let nobody in whom it does not name, the API's document is made from it,
//! and the tests hold every operation against it.

use std::{collections::HashMap, sync::LazyLock};

use axum::http::Method;

use self::Least::{Account, Administrator, Anybody, Visitor};
use super::BASE;
use crate::models::types::{
    KeyScope,
    KeyScope::{
        CheckoutsRead, CheckoutsWrite, CustomerAccountsRead, CustomerAccountsWrite, CustomersRead,
        CustomersWrite, DiscountsRead, DiscountsWrite, EventsRead, MailsRead, OrdersRead,
        OrdersWrite, ProductsRead, ProductsWrite, RatesRead, RatesWrite, WebhooksRead,
        WebhooksWrite,
    },
};

/// The least that somebody has to be. Whoever is more is let in, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Least {
    /// Nobody: no credential is needed.
    Anybody,
    /// A visitor of the shop: a publishable key, or a secret key with the scope `visitors`.
    Visitor,
    /// Somebody with an account.
    Account,
    /// An administrator.
    Administrator,
}

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The least that a person has to be.
    pub least: Least,
    /// The scope that lets a secret key in, if one does.
    pub scope: Option<KeyScope>,
}

/// Every operation: its method, its path below [`BASE`], and who may call it.
#[rustfmt::skip]
pub const TABLE: &[(&str, &str, Least, Option<KeyScope>)] = &[
    // method  path                                      at least        or a secret key for
    ("POST",   "/auth/login",                            Anybody,        None),
    ("GET",    "/auth/me",                               Account,        None),
    ("POST",   "/auth/logout",                           Account,        None),
    ("PUT",    "/auth/password",                         Account,        None),
    ("POST",   "/auth/register",                         Visitor,        None),
    ("POST",   "/auth/verify",                           Visitor,        None),
    ("POST",   "/auth/password-reset",                   Visitor,        None),
    ("POST",   "/auth/password-reset/confirm",           Visitor,        None),

    ("GET",    "/me",                                    Account,        None),
    ("PATCH",  "/me",                                    Account,        None),
    ("POST",   "/me/email",                              Account,        None),
    ("POST",   "/me/erase",                              Account,        None),
    ("GET",    "/me/export",                             Account,        None),
    ("GET",    "/me/addresses",                          Account,        None),
    ("POST",   "/me/addresses",                          Account,        None),
    ("GET",    "/me/addresses/{id}",                     Account,        None),
    ("PUT",    "/me/addresses/{id}",                     Account,        None),
    ("PATCH",  "/me/addresses/{id}",                     Account,        None),
    ("DELETE", "/me/addresses/{id}",                     Account,        None),

    ("GET",    "/products",                              Visitor,        Some(ProductsRead)),
    ("POST",   "/products",                              Administrator,  Some(ProductsWrite)),
    ("GET",    "/products/{id}",                         Visitor,        Some(ProductsRead)),
    ("PUT",    "/products/{id}",                         Administrator,  Some(ProductsWrite)),
    ("PATCH",  "/products/{id}",                         Administrator,  Some(ProductsWrite)),
    ("DELETE", "/products/{id}",                         Administrator,  Some(ProductsWrite)),
    ("GET",    "/products/{id}/stock",                   Administrator,  Some(ProductsRead)),
    ("POST",   "/products/{id}/stock",                   Administrator,  Some(ProductsWrite)),

    ("GET",    "/orders",                                Account,        Some(OrdersRead)),
    ("POST",   "/orders",                                Account,        Some(OrdersWrite)),
    ("GET",    "/orders/{id}",                           Account,        Some(OrdersRead)),
    ("PATCH",  "/orders/{id}",                           Administrator,  Some(OrdersWrite)),
    ("POST",   "/orders/{id}/cancel",                    Account,        Some(OrdersWrite)),

    ("GET",    "/checkouts",                             Account,        Some(CheckoutsRead)),
    ("POST",   "/checkouts",                             Visitor,        Some(CheckoutsWrite)),
    ("GET",    "/checkouts/{id}",                        Visitor,        Some(CheckoutsRead)),
    ("PATCH",  "/checkouts/{id}",                        Visitor,        Some(CheckoutsWrite)),
    ("PUT",    "/checkouts/{id}/items/{product_id}",     Visitor,        Some(CheckoutsWrite)),
    ("DELETE", "/checkouts/{id}/items/{product_id}",     Visitor,        Some(CheckoutsWrite)),
    ("POST",   "/checkouts/{id}/hold",                   Visitor,        Some(CheckoutsWrite)),
    ("POST",   "/checkouts/{id}/complete",               Visitor,        Some(CheckoutsWrite)),
    ("POST",   "/checkouts/{id}/cancel",                 Visitor,        Some(CheckoutsWrite)),

    ("GET",    "/customers",                             Administrator,  Some(CustomersRead)),
    ("POST",   "/customers",                             Administrator,  Some(CustomersWrite)),
    ("GET",    "/customers/{id}",                        Administrator,  Some(CustomersRead)),
    ("PUT",    "/customers/{id}",                        Administrator,  Some(CustomersWrite)),
    ("PATCH",  "/customers/{id}",                        Administrator,  Some(CustomersWrite)),
    ("DELETE", "/customers/{id}",                        Administrator,  Some(CustomersWrite)),
    ("GET",    "/customers/{id}/export",                 Administrator,  None),
    ("GET",    "/customers/{id}/addresses",              Administrator,  Some(CustomersRead)),
    ("POST",   "/customers/{id}/addresses",              Administrator,  Some(CustomersWrite)),
    ("GET",    "/customers/{id}/addresses/{address_id}", Administrator,  Some(CustomersRead)),
    ("PUT",    "/customers/{id}/addresses/{address_id}", Administrator,  Some(CustomersWrite)),
    ("PATCH",  "/customers/{id}/addresses/{address_id}", Administrator,  Some(CustomersWrite)),
    ("DELETE", "/customers/{id}/addresses/{address_id}", Administrator,  Some(CustomersWrite)),

    ("GET",    "/customer-accounts",                     Administrator,  Some(CustomerAccountsRead)),
    ("POST",   "/customer-accounts",                     Administrator,  Some(CustomerAccountsWrite)),
    ("GET",    "/customer-accounts/{id}",                Administrator,  Some(CustomerAccountsRead)),
    ("PUT",    "/customer-accounts/{id}",                Administrator,  Some(CustomerAccountsWrite)),
    ("PATCH",  "/customer-accounts/{id}",                Administrator,  Some(CustomerAccountsWrite)),
    ("DELETE", "/customer-accounts/{id}",                Administrator,  Some(CustomerAccountsWrite)),

    ("GET",    "/api-keys",                              Administrator,  None),
    ("POST",   "/api-keys",                              Administrator,  None),
    ("GET",    "/api-keys/{id}",                         Administrator,  None),
    ("PATCH",  "/api-keys/{id}",                         Administrator,  None),
    ("DELETE", "/api-keys/{id}",                         Administrator,  None),

    ("GET",    "/shipping-rates",                        Administrator,  Some(RatesRead)),
    ("POST",   "/shipping-rates",                        Administrator,  Some(RatesWrite)),
    ("GET",    "/shipping-rates/{id}",                   Administrator,  Some(RatesRead)),
    ("PUT",    "/shipping-rates/{id}",                   Administrator,  Some(RatesWrite)),
    ("PATCH",  "/shipping-rates/{id}",                   Administrator,  Some(RatesWrite)),
    ("DELETE", "/shipping-rates/{id}",                   Administrator,  Some(RatesWrite)),

    ("GET",    "/tax-rates",                             Administrator,  Some(RatesRead)),
    ("POST",   "/tax-rates",                             Administrator,  Some(RatesWrite)),
    ("GET",    "/tax-rates/{id}",                        Administrator,  Some(RatesRead)),
    ("PUT",    "/tax-rates/{id}",                        Administrator,  Some(RatesWrite)),
    ("PATCH",  "/tax-rates/{id}",                        Administrator,  Some(RatesWrite)),
    ("DELETE", "/tax-rates/{id}",                        Administrator,  Some(RatesWrite)),

    ("GET",    "/discounts",                             Administrator,  Some(DiscountsRead)),
    ("POST",   "/discounts",                             Administrator,  Some(DiscountsWrite)),
    ("GET",    "/discounts/{id}",                        Administrator,  Some(DiscountsRead)),
    ("PUT",    "/discounts/{id}",                        Administrator,  Some(DiscountsWrite)),
    ("PATCH",  "/discounts/{id}",                        Administrator,  Some(DiscountsWrite)),
    ("DELETE", "/discounts/{id}",                        Administrator,  Some(DiscountsWrite)),

    ("GET",    "/events",                                Administrator,  Some(EventsRead)),
    ("GET",    "/events/{id}",                           Administrator,  Some(EventsRead)),

    ("GET",    "/webhook-endpoints",                     Administrator,  Some(WebhooksRead)),
    ("POST",   "/webhook-endpoints",                     Administrator,  Some(WebhooksWrite)),
    ("GET",    "/webhook-endpoints/{id}",                Administrator,  Some(WebhooksRead)),
    ("PUT",    "/webhook-endpoints/{id}",                Administrator,  Some(WebhooksWrite)),
    ("PATCH",  "/webhook-endpoints/{id}",                Administrator,  Some(WebhooksWrite)),
    ("DELETE", "/webhook-endpoints/{id}",                Administrator,  Some(WebhooksWrite)),
    ("POST",   "/webhook-endpoints/{id}/rotate-secret",  Administrator,  Some(WebhooksWrite)),
    ("POST",   "/webhook-endpoints/{id}/test",           Administrator,  Some(WebhooksWrite)),
    ("GET",    "/webhook-deliveries",                    Administrator,  Some(WebhooksRead)),
    ("GET",    "/webhook-deliveries/{id}",               Administrator,  Some(WebhooksRead)),
    ("POST",   "/webhook-deliveries/{id}/retry",         Administrator,  Some(WebhooksWrite)),

    ("GET",    "/mails",                                 Administrator,  Some(MailsRead)),
    ("GET",    "/mails/{id}",                            Administrator,  Some(MailsRead)),
];

/// Who may call an operation, by its method and the path of its route. HEAD is a GET whose body is not sent.
#[must_use]
pub fn of(method: &Method, route: &str) -> Option<Access> {
    static ROUTES: LazyLock<HashMap<String, Vec<(Method, Access)>>> = LazyLock::new(|| {
        let mut routes = HashMap::<_, Vec<_>>::new();
        for &(method, path, least, scope) in TABLE {
            if let Ok(method) = method.parse() {
                let methods = routes.entry(format!("{BASE}{path}")).or_default();
                methods.push((method, Access { least, scope }));
            }
        }
        routes
    });
    let method = match method {
        &Method::HEAD => &Method::GET,
        method => method,
    };
    let mut methods = ROUTES.get(route)?.iter();
    let found = methods.find(|(known, _)| known == method);
    found.map(|(_, access)| *access)
}

impl Access {
    /// Whether visitors may call it, each for themselves.
    #[must_use]
    pub fn is_for_visitors(self) -> bool {
        self.least == Visitor
    }

    /// The scope that is asked of a key, if one is enough.
    #[must_use]
    pub fn asked(self) -> Option<KeyScope> {
        let visitors = self.is_for_visitors().then_some(KeyScope::Visitors);
        self.scope.or(visitors)
    }

    /// In words, for the API's document.
    #[must_use]
    pub fn sentence(self) -> String {
        let people = match self.least {
            Anybody => return "Everybody may call it, without a credential.".to_owned(),
            Visitor | Account => "every account",
            Administrator => "administrators",
        };
        match (self.is_for_visitors(), self.scope) {
            (true, Some(scope)) => format!(
                "For {people}, publishable keys, and secret keys with `{scope}` or `visitors`."
            ),
            (true, None) => {
                format!("For {people}, publishable keys, and secret keys with `visitors`.")
            }
            (false, Some(scope)) => format!("For {people}, and secret keys with `{scope}`."),
            (false, None) => format!("For {people} in person, and no keys."),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::controllers::endpoints;

    #[test]
    fn every_operation_is_in_the_table_and_there_is_no_other() {
        let operations: BTreeSet<_> = endpoints()
            .into_iter()
            .flat_map(|(_, paths, _)| paths.paths)
            .flat_map(|(path, item)| {
                let methods = [
                    ("GET", item.get.is_some()),
                    ("POST", item.post.is_some()),
                    ("PUT", item.put.is_some()),
                    ("PATCH", item.patch.is_some()),
                    ("DELETE", item.delete.is_some()),
                ];
                let methods = methods.into_iter().filter(|(_, is_there)| *is_there);
                methods.map(move |(method, _)| (method.to_owned(), path.clone()))
            })
            .collect();
        let table = TABLE.iter();
        let table: BTreeSet<_> = table
            .map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned()))
            .collect();
        let missing: Vec<_> = operations.difference(&table).collect();
        assert!(
            missing.is_empty(),
            "access.rs has to say who may call these: {missing:?}"
        );
        let gone: Vec<_> = table.difference(&operations).collect();
        assert!(gone.is_empty(), "access.rs names what is gone: {gone:?}");
        assert_eq!(table.len(), TABLE.len(), "one stands there twice");
    }

    #[test]
    fn a_head_is_for_whom_the_get_is_and_nobody_may_call_what_is_not_there() {
        let route = format!("{BASE}/products/{{id}}");
        assert_eq!(of(&Method::HEAD, &route), of(&Method::GET, &route));
        assert!(of(&Method::GET, &route).is_some());
        assert_eq!(of(&Method::POST, &route), None);
        assert_eq!(of(&Method::GET, "/api/v1/nothing"), None);
    }
}
