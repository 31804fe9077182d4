//! Cache tags: a response carries the tags of what it shows, and a write invalidates the tags of what it changes.

use std::fmt;

/// Something that a response shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheTag {
    /// The list of products.
    Products,
    /// Which products there are, whatever is in stock.
    Assortment,
    /// One product.
    Product(i64),
    /// One product's ledger.
    Stock(i64),
    /// The list of customers.
    Customers,
    /// Which customers there are, whatever is known of them.
    Clientele,
    /// One customer.
    Customer(i64),
    /// The addresses of one customer.
    Addresses(i64),
    /// Every customer account, and the customers that accounts show.
    Accounts,
    /// Which accounts there are, and what they may do.
    Membership,
    /// Who an account is to the server that it sends a token to, by its `pid`.
    Login(String),
    /// What an API key lets its bearer do, by its digest.
    ApiKey(String),
    /// The list of all orders.
    Orders,
    /// The orders that are counted already: another one among them.
    PastOrders,
    /// A new order of that id, which may stand among those that are counted already.
    NewOrder(i64),
    /// The list of one customer's orders.
    OrdersOf(i64),
    /// One order.
    Order(i64),
    /// The list of discounts.
    Discounts,
    /// One discount.
    Discount(i64),
    /// The list of tax rates.
    TaxRates,
    /// One tax rate.
    TaxRate(i64),
    /// The list of shipping rates.
    ShippingRates,
    /// One shipping rate.
    ShippingRate(i64),
    /// The names and words of people, as orders and ledgers show them.
    People,
    /// Deliveries that are due: no answer shows them, but whoever sends them is woken.
    Deliveries,
    /// Mails that are due, likewise.
    Mails,
    /// All of the store.
    Everything,
}

impl CacheTag {
    /// What a new row changes only if it stands among those that are counted already, and the row's id.
    #[must_use]
    pub const fn joins(&self) -> Option<(Self, i64)> {
        match self {
            Self::NewOrder(id) => Some((Self::PastOrders, *id)),
            _ => None,
        }
    }
}

impl fmt::Display for CacheTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Products => f.write_str("products"),
            Self::Assortment => f.write_str("assortment"),
            Self::Product(id) => write!(f, "product:{id}"),
            Self::Stock(id) => write!(f, "stock:{id}"),
            Self::Customers => f.write_str("customers"),
            Self::Clientele => f.write_str("clientele"),
            Self::Customer(id) => write!(f, "customer:{id}"),
            Self::Addresses(customer_id) => write!(f, "addresses:{customer_id}"),
            Self::Accounts => f.write_str("accounts"),
            Self::Membership => f.write_str("membership"),
            Self::Login(pid) => write!(f, "login:{pid}"),
            Self::ApiKey(digest) => write!(f, "api_key:{digest}"),
            Self::Orders => f.write_str("orders"),
            Self::PastOrders => f.write_str("past_orders"),
            Self::NewOrder(id) => write!(f, "new_order:{id}"),
            Self::OrdersOf(customer_id) => write!(f, "orders_of:{customer_id}"),
            Self::Order(id) => write!(f, "order:{id}"),
            Self::Discounts => f.write_str("discounts"),
            Self::Discount(id) => write!(f, "discount:{id}"),
            Self::TaxRates => f.write_str("tax_rates"),
            Self::TaxRate(id) => write!(f, "tax_rate:{id}"),
            Self::ShippingRates => f.write_str("shipping_rates"),
            Self::ShippingRate(id) => write!(f, "shipping_rate:{id}"),
            Self::People => f.write_str("people"),
            Self::Deliveries => f.write_str("deliveries"),
            Self::Mails => f.write_str("mails"),
            Self::Everything => f.write_str("everything"),
        }
    }
}
